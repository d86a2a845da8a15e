"""A document deleted for good: its rows, its upload, and what was made from it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from quire.database import retention, tombstones
from quire.database.engine import transaction
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import DERIVED, UPLOADS


def derived_prefix(document_id: UUID) -> str:
    """Where objects are that were made from a document, in the default bucket."""
    return f"{DERIVED}{document_id}/"


def delete_files(settings: Settings, store: ObjectStore, document_id: UUID, bucket: str, key: str) -> None:
    """Delete a document's upload and what was made from it. A file that was named by its key is its owner's and stays,
    also where it is another document's upload.

    Raises:
        StorageError: not everything is deleted; again will do.
    """
    if (bucket, key) == (settings.default_bucket, f"{UPLOADS}{document_id}"):
        store.delete(bucket, key)
    store.delete_prefix(settings.default_bucket, derived_prefix(document_id))


def delete_document(settings: Settings, store: ObjectStore, document_id: UUID, database: Engine | None = None) -> bool:
    """Delete a document, whatever state it is in; False if it is not there. Who reads a page of it writes nothing.

    Files go before rows, so that none is left that no row knows.

    Raises:
        StorageError, DatabaseUnreachable: it is not deleted, or not whole; again will do.
    """
    with transaction(database) as session:
        document = retention.lock_document(session, document_id)
        if document is None:
            return False
        delete_files(settings, store, document.document_id, document.bucket, document.source_key)
        retention.delete_documents(session, [document_id])
        tombstones.bury(session, document_id, document.owner, "deleted")
    return True
