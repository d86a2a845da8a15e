"""What a process does once only, done before somebody waits for it: connections, statements, Celery's publisher.

Else all uploads that arrive together at first would wait for it, and for each other meanwhile.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from uuid import uuid4

from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from quire import jobs
from quire.contracts import OcrOptions
from quire.database import documents
from quire.database.documents import NewDocument
from quire.database.engine import get_engine
from quire.errors import QuireError
from quire.queues import ticket_producer
from quire.settings import Settings, get_settings
from quire_api.own_threads import SUBMISSIONS

logger = logging.getLogger(__name__)


def begin() -> None:
    """Warm up in a thread of its own. The process starts all the same where a service is away."""
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()


def warm_up() -> None:
    """Do it; what a service that is away would have to do is left for later."""
    settings = get_settings()
    try:
        _rehearse(settings)
        jobs.count_tickets()
        app = ticket_producer()
        assert app.backend is not None
        with app.producer_or_acquire() as producer:
            producer.maybe_declare(app.amqp.queues[settings.ocr_queue], retry=False)
    except (QuireError, SQLAlchemyError, OperationalError, OSError) as error:
        logger.info("not warmed up: %s", type(error).__name__)


def _rehearse(settings: Settings) -> None:
    """Insert a document by as many connections as there will be, and take it back."""
    new = NewDocument(uuid4(), settings.default_bucket, "none", OcrOptions())
    with ExitStack() as connections:
        for _ in range(SUBMISSIONS.most):
            session = connections.enter_context(Session(get_engine()))
            documents.create(session, new)
            session.rollback()
            session.connection()
