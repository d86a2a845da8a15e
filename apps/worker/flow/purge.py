"""Deletes what is older than it may become: rows, and the uploads they were read from."""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Engine

from quire.contracts import PurgeResult
from quire.database import limits, retention, tombstones, webhooks
from quire.database.engine import transaction
from quire.deletion import delete_files
from quire.errors import StorageError
from quire.settings import Settings
from quire.storage import ObjectStore

logger = logging.getLogger(__name__)

# In one transaction: a purge that is stopped has lost no more than this.
_AT_ONCE: Final = 100


def purge_expired(settings: Settings, database: Engine, store: ObjectStore) -> PurgeResult:
    """Delete documents that ended more than `QUIRE_RESULT_RETENTION` days ago; 0 keeps all.

    Uploads go with their document, files that were named by key stay: they are the caller's. A file is deleted before
    its row, so that none is left that no row knows.
    """
    deleted = 0
    if settings.quire_result_retention:
        while some := _purge_some(settings, database, store):
            deleted += some
    with transaction(database) as session:
        tombstones.drop_older(session)
        limits.forget_requests(session)
        webhooks.drop_old(session)
    return PurgeResult(documents_deleted=deleted)


def _purge_some(settings: Settings, database: Engine, store: ObjectStore) -> int:
    """How many were deleted; fewer than there are when storage does not answer, which the next run makes up for."""
    with transaction(database) as session:
        gone = []
        for expired in retention.take_expired(session, days=settings.quire_result_retention, most=_AT_ONCE):
            try:
                delete_files(settings, store, expired.document_id, expired.bucket, expired.source_key)
            except StorageError as error:
                logger.warning("document %s is not deleted yet: %s", expired.document_id, error.message)
                break
            tombstones.bury(session, expired.document_id, expired.owner, "expired")
            gone.append(expired.document_id)
        if gone:
            retention.delete_documents(session, gone)
    return len(gone)
