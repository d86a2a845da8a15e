"""Documents whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from quire.database.tables import Document

_EXPIRED = text("""
    SELECT id, bucket, source_key FROM documents
    WHERE finished_at < now() - make_interval(days => :days)
    ORDER BY finished_at LIMIT :most
    FOR UPDATE SKIP LOCKED
""")


@dataclass(frozen=True)
class Expired:
    """A document that ended long enough ago, and where its file is."""

    document_id: UUID
    bucket: str
    source_key: str


def take_expired(session: Session, *, days: int, most: int) -> list[Expired]:
    """Documents that ended more than `days` ago, the oldest first; nobody else gets them before the commit."""
    rows = session.execute(_EXPIRED, {"days": days, "most": most})
    return [Expired(row.id, row.bucket, row.source_key) for row in rows]


def delete_documents(session: Session, document_ids: Sequence[UUID]) -> None:
    """Delete documents and their pages."""
    session.execute(delete(Document).where(Document.id.in_(document_ids)))
