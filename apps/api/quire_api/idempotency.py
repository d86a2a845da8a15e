"""The same request sent twice makes one document, where its sender gave it a key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from quire import jobs
from quire.database import idempotency
from quire.database.documents import Created, NewDocument
from quire.database.engine import transaction
from quire.errors import IdempotencyConflict


@dataclass(frozen=True)
class RequestKey:
    """An `Idempotency-Key`, whose it is, and the SHA-256 of what was asked for, as hex."""

    owner: str
    key: str
    request_hash: str

    @classmethod
    def of(cls, owner: str, key: str | None, asked: BaseModel) -> Self | None:
        """The key of a request; None where it has none."""
        if key is None:
            return None
        return cls(owner, key, hashlib.sha256(asked.model_dump_json().encode()).hexdigest())

    def with_content(self, digest: str) -> Self:
        """The same key for a request that a file of this SHA-256 belongs to."""
        return replace(self, request_hash=hashlib.sha256((self.request_hash + digest).encode()).hexdigest())

    def earlier(self) -> UUID | None:
        """The document that this request made before, or None.

        Raises:
            IdempotencyConflict: the key was used for something else.
        """
        with transaction() as session:
            found = idempotency.find(session, self.owner, self.key)
        if found is None:
            return None
        if found.request_hash != self.request_hash:
            raise IdempotencyConflict("This Idempotency-Key was used for another request. Use a new one.")
        return found.document_id


@dataclass(frozen=True)
class AcceptedDocument:
    """The id of an accepted document; and how it was `created`, unless an earlier request had done that."""

    id: UUID
    created: Created | None = None


class _UsedMeanwhile(Exception):
    """An equal request was faster."""


def submit_once(new: NewDocument, request_key: RequestKey | None) -> AcceptedDocument:
    """Submit a document, unless an equal request has made one: then it is that document.

    Raises:
        IdempotencyConflict: the key was used for something else.
        DatabaseUnreachable: it was not accepted.
    """
    if request_key is None:
        return AcceptedDocument(new.id, jobs.submit(new, count_before=True))

    def claim(session: Session) -> None:
        if not idempotency.claim(session, request_key.owner, request_key.key, request_key.request_hash, new.id):
            raise _UsedMeanwhile

    try:
        return AcceptedDocument(new.id, jobs.submit(new, also=claim, count_before=True))
    except _UsedMeanwhile:
        earlier = request_key.earlier()
        # None only if that document was deleted since: then this request is the first again.
        return submit_once(new, request_key) if earlier is None else AcceptedDocument(earlier)
