"""Requests that were answered, by the key their sender gave them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from quire.database.tables import IdempotencyKey


def find(session: Session, owner: str, key: str) -> IdempotencyKey | None:
    """What an owner's key was used for."""
    return session.get(IdempotencyKey, (owner, key))


def claim(session: Session, owner: str, key: str, request_hash: str, document_id: UUID) -> bool:
    """Use a key for a document that is made in this transaction; False if it was used, perhaps at this moment."""
    claimed = session.execute(
        postgresql.insert(IdempotencyKey)
        .values(owner=owner, key=key, request_hash=request_hash, document_id=document_id)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    ).first()
    return claimed is not None
