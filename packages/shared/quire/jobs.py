"""Submitting documents: the row is what counts, the ticket in the broker only says that it is there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from quire import tasks
from quire.contracts import OcrPayload, StudyAidResult, StudyKind, WebhookPayload
from quire.database import artifacts, documents, turns, webhooks
from quire.database.documents import Created
from quire.database.engine import statements, transaction
from quire.database.turns import Ticket
from quire.errors import BrokerUnreachable, DocumentNotFound
from quire.queues import lists_of_queue
from quire.settings import get_settings
from quire.telemetry import tracing

logger = logging.getLogger(__name__)


# A ticket that ends makes room for one; the second makes up for room that nobody has filled.
_DISPATCHED_AT_ONCE: Final = 2

_STUDY_TASKS: Final[dict[StudyKind, tasks.TaskDeclaration[Any, StudyAidResult]]] = {
    "summary": tasks.summarize_document,
    "flashcards": tasks.generate_flashcards,
    "quiz": tasks.generate_quiz,
}


def issue_ticket(ticket: Ticket) -> None:
    """Publish "document D has pages to do". Delivered twice, late or never: the page flow copes with each.

    Raises:
        BrokerUnreachable: nothing was published; the reconciler will make up for it.
    """
    tasks.ocr_pdf_document.send(
        OcrPayload(document_id=ticket.document_id),
        keep_result=False,
        time_limit=tasks.TICKET_TIME_LIMIT,
        priority=ticket.priority,
    )


@lru_cache(maxsize=1)
def _broker_of_process(_pid: int, url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)


def count_tickets() -> int:
    """Messages that wait in the OCR queue.

    Raises:
        BrokerUnreachable: Redis did not answer.
    """
    settings = get_settings()
    # Every document that is accepted and every ticket that ends asks: over one connection, for all lists at once.
    questions = _broker_of_process(os.getpid(), settings.broker_url).pipeline(transaction=False)
    for name in lists_of_queue(settings.ocr_queue):
        questions.llen(name)
    try:
        return sum(int(length) for length in questions.execute())
    except redis.RedisError as error:
        raise BrokerUnreachable(f"Redis did not answer ({type(error).__name__}). Check REDIS_URL.") from error


@tracing.traced("submit")
def submit(
    new: documents.NewDocument,
    database: Engine | None = None,
    *,
    also: Callable[[Session], None] | None = None,
    count_before: bool = False,
) -> Created | None:
    """Accept a document whose bytes are in storage: commit its row, and issue tickets for those whose turn it is.

    `also` is done in the same transaction; where it raises, nothing is accepted.

    With Redis down, or `QUIRE_DISPATCH_WINDOW` tickets in it, the document is accepted all the same and waits.

    Returned is the document as it was accepted, with `count_before` also its position; None if its id was there before.

    Raises:
        DatabaseUnreachable: it was not accepted.
    """
    tracing.annotate({"quire.document_id": str(new.id), "quire.priority": new.priority})
    room = _room()
    # One row alone is a transaction of its own. The document waits from then on, whatever comes of its ticket.
    scope = statements if also is None and not new.follow_ups else transaction
    with scope(database) as session:
        created = documents.create(session, new, ticket_if_first=room > 0, count_before=count_before)
        if also is not None:
            also(session)
        if created is not None and created.document.dispatched_at is not None:
            tickets = [Ticket(new.id, created.document.priority)]
        else:
            tickets = turns.take_waiting(session, most=min(room, _DISPATCHED_AT_ONCE))
    _issue_all(tickets)
    return created


def dispatch(database: Engine | None = None, *, most: int = _DISPATCHED_AT_ONCE) -> None:
    """Issue tickets for up to `most` waiting documents, as far as `QUIRE_DISPATCH_WINDOW` has room for them.

    Raises:
        DatabaseUnreachable: nothing was issued.
    """
    room = _room()
    if room > 0:
        with transaction(database) as session:
            tickets = turns.take_waiting(session, most=min(room, most))
        _issue_all(tickets)


def dispatch_webhooks(database: Engine | None = None, *, most: int = 10) -> None:
    """Queue tasks for up to `most` webhooks that are due.

    Raises:
        DatabaseUnreachable: nothing was queued.
    """
    with statements(database) as session:
        attempts = webhooks.dispatch(session, most=most)
    for attempt in attempts:
        try:
            tasks.deliver_webhook.send(
                WebhookPayload(delivery_id=attempt.delivery_id, attempt=attempt.attempt), keep_result=False
            )
        except BrokerUnreachable as error:
            # It is due again in a minute, for the reconciler to find. The others would have to wait as long in vain.
            logger.warning("webhook %s has no task: %s", attempt.delivery_id, error.message)
            break


def dispatch_study_aids(database: Engine | None = None) -> None:
    """Queue tasks for study aids that have none, as many as there is room for.

    Raises:
        DatabaseUnreachable: nothing was queued.
    """
    with transaction(database) as session:
        due = artifacts.dispatch(session)
    for each in due:
        payload = {"document_id": each.document_id, **each.options}
        try:
            # Its own task each, so that their numbers and times can be told apart.
            declared = _STUDY_TASKS[each.kind]
            declared.send(declared.parse((), payload), keep_result=False)
        except BrokerUnreachable as error:
            # It is due again in some minutes, for the reconciler to find.
            logger.warning("study aid %s has no task: %s", each.id, error.message)
            break


def cancel(document_id: UUID, database: Engine | None = None) -> bool:
    """Stop reading a document: pages in work are finished, no others begun. False if it had ended.

    Raises:
        DocumentNotFound: there is none with this id.
    """
    with transaction(database) as session:
        _require(session, document_id)
        return documents.cancel(session, document_id)


def retry(document_id: UUID, database: Engine | None = None) -> bool:
    """Have the pages of a document that failed read again, those alone. False if none has.

    Raises:
        DocumentNotFound: there is none with this id.
    """
    with transaction(database) as session:
        _require(session, document_id)
        ticket = documents.retry_failed(session, document_id)
    if ticket is not None:
        _issue_all([ticket])
    return ticket is not None


def _require(session: Session, document_id: UUID) -> None:
    if documents.get(session, document_id) is None:
        raise DocumentNotFound(f"There is no document {document_id}.")


def _room() -> int:
    """How many tickets more the queue may hold; none while Redis does not say."""
    try:
        return get_settings().quire_dispatch_window - count_tickets()
    except BrokerUnreachable as error:
        logger.warning("no tickets issued: %s", error.message)
        return 0


def _issue_all(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        try:
            issue_ticket(ticket)
        except BrokerUnreachable as error:
            # The reconciler finds it.
            logger.warning("document %s has no ticket: %s", ticket.document_id, error.message)
