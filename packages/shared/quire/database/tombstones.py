"""Documents that are gone: that there was one, whose it was, and why it is there no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from quire.database.listener import CHANNEL
from quire.database.tables import Tombstone

Reason = Literal["expired", "deleted"]

# Days a tombstone is kept; after that an id is as unknown as one that was never issued.
KEPT_DAYS = 90

_DROP_OLDER = text("""
    DELETE FROM tombstones WHERE document_id IN (
        SELECT document_id FROM tombstones WHERE deleted_at < now() - make_interval(days => :days) LIMIT :most)
    RETURNING document_id
""")


@dataclass(frozen=True)
class Gone:
    """A document that was deleted: by retention (`expired`), or because somebody asked for it (`deleted`)."""

    document_id: UUID
    owner: str
    reason: Reason
    deleted_at: datetime


def bury(session: Session, document_id: UUID, owner: str, reason: Reason) -> None:
    """Remember a document that is deleted in this transaction, and tell whoever watches it.

    What was remembered first stays.
    """
    values = {"document_id": document_id, "owner": owner, "reason": reason, "deleted_at": func.now()}
    session.execute(postgresql.insert(Tombstone).values(**values).on_conflict_do_nothing())
    session.execute(select(func.pg_notify(CHANNEL, str(document_id))))


def find(session: Session, document_id: UUID, owner: str | None = None) -> Gone | None:
    """Why there is no such document any more; None if there never was one, or it is not this `owner`'s.

    `owner` None sees everybody's.
    """
    found = session.get(Tombstone, document_id)
    if found is None or (owner is not None and found.owner != owner):
        return None
    return Gone(found.document_id, found.owner, cast(Reason, found.reason), found.deleted_at)


def drop_older(session: Session, *, days: int = KEPT_DAYS, most: int = 1000) -> int:
    """Forget documents that were deleted more than `days` ago, up to `most` at once; how many that were."""
    return len(session.execute(_DROP_OLDER, {"days": days, "most": most}).all())
