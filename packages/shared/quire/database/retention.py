"""Documents whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from quire.database.tables import Document

_EXPIRED = text("""
    SELECT id, bucket, source_key, owner FROM documents
    WHERE finished_at < now() - make_interval(days => :days)
    ORDER BY finished_at LIMIT :most
    FOR UPDATE SKIP LOCKED
""")

_HOLD_PAGES = text("SELECT FROM pages WHERE document_id = :document_id ORDER BY number FOR UPDATE")
_HOLD_DOCUMENT = text("SELECT id, bucket, source_key, owner FROM documents WHERE id = :document_id FOR UPDATE")

# Nobody who writes to the document waits for this one.
_HOLD_KEY = text("SELECT FROM documents WHERE id = :document_id FOR KEY SHARE")


@dataclass(frozen=True)
class Condemned:
    """A document that is to be deleted, whose it is, and where its file is."""

    document_id: UUID
    bucket: str
    source_key: str
    owner: str


def take_expired(session: Session, *, days: int, most: int) -> list[Condemned]:
    """Documents that ended more than `days` ago, the oldest first; nobody else gets them before the commit."""
    rows = session.execute(_EXPIRED, {"days": days, "most": most})
    return [Condemned(row.id, row.bucket, row.source_key, row.owner) for row in rows]


def lock_document(session: Session, document_id: UUID) -> Condemned | None:
    """A document that nobody else writes to before the commit; None if it is not there."""
    # Its pages before it, as everywhere.
    session.execute(_HOLD_PAGES, {"document_id": document_id})
    row = session.execute(_HOLD_DOCUMENT, {"document_id": document_id}).first()
    return None if row is None else Condemned(row.id, row.bucket, row.source_key, row.owner)


def hold_against_deletion(session: Session, document_id: UUID) -> bool:
    """Whether a document is there, and stays until the commit. Waits for who is deleting it."""
    return session.execute(_HOLD_KEY, {"document_id": document_id}).first() is not None


def delete_documents(session: Session, document_ids: Sequence[UUID]) -> None:
    """Delete documents and their pages."""
    for document_id in document_ids:
        # One at a time: no statement takes as long as all their pages take.
        session.execute(delete(Document).where(Document.id == document_id))
