"""Submitting documents: the row is what counts, the ticket in the broker only says that it is there."""

from __future__ import annotations

import logging
from uuid import UUID

import redis
from sqlalchemy import Engine

from quire import tasks
from quire.contracts import OcrPayload
from quire.database import documents
from quire.database.engine import transaction
from quire.errors import BrokerUnreachable
from quire.settings import get_settings

logger = logging.getLogger(__name__)


def issue_ticket(document_id: UUID) -> None:
    """Publish "document D has pages to do". Delivered twice, late or never: the page flow copes with each.

    Raises:
        BrokerUnreachable: nothing was published; the reconciler will make up for it.
    """
    tasks.ocr_pdf_document.send(
        OcrPayload(document_id=document_id), keep_result=False, time_limit=tasks.TICKET_TIME_LIMIT
    )


def count_tickets() -> int:
    """Messages that wait in the OCR queue.

    Raises:
        BrokerUnreachable: Redis did not answer.
    """
    settings = get_settings()
    try:
        with redis.Redis.from_url(settings.broker_url, socket_timeout=5, socket_connect_timeout=5) as client:
            return int(client.llen(settings.ocr_queue))
    except redis.RedisError as error:
        raise BrokerUnreachable(f"Redis did not answer ({type(error).__name__}). Check REDIS_URL.") from error


def submit(new: documents.NewDocument, database: Engine | None = None) -> None:
    """Accept a document whose bytes are in storage: commit its row, then issue its ticket.

    With Redis down the document is accepted all the same, and read when Redis is back.

    Raises:
        DatabaseUnreachable: it was not accepted.
    """
    with transaction(database) as session:
        documents.create(session, new)
    try:
        issue_ticket(new.id)
    except BrokerUnreachable as error:
        logger.warning("document %s accepted without a ticket: %s", new.id, error.message)
