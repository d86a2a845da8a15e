"""Every task of the worker: validate, call the room that does it, hand its answer back."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from pydantic import JsonValue

import workspace  # noqa: F401  isort: skip
from celery_app import celery_app
from flow import purge, webhooks
from flow.page_flow import PageFlow
from flow.reconcile import reconcile_once
from flow.study_aids import StudyAids, StudyPayload
from flow.whole_document import WholeDocument
from quire import tasks as declared
from quire.contracts import (
    DiagnosticsResult,
    EchoPayload,
    FlashcardsPayload,
    NoPayload,
    OcrPagePayload,
    OcrPayload,
    OcrResult,
    PurgeResult,
    QuizPayload,
    ReconcileResult,
    StudyAidResult,
    SummaryPayload,
    WebhookPayload,
    WebhookResult,
)
from quire.database.engine import get_engine, has_database
from quire.database.webhooks import Attempt
from quire.errors import BrokerUnreachable, DatabaseUnreachable
from quire.jobs import count_tickets, dispatch, dispatch_study_aids, dispatch_webhooks, issue_ticket
from quire.settings import get_settings
from quire.storage import get_store
from quire.telemetry import tracing
from runtime import diagnostics as diagnostics_report
from runtime import pool
from runtime.binding import TaskContext, bind
from runtime.observed import ticket_of

# What one run of the reconciler queues: the default queue has other work as well.
_WEBHOOKS_AT_ONCE = 100
# Seconds: a year.
_NO_END = 31_536_000


@bind(celery_app, declared.echo)
def echo(payload: EchoPayload, context: TaskContext) -> JsonValue:
    """Return the payload: the smoke test."""
    return payload.payload


@bind(celery_app, declared.diagnostics)
def diagnostics(payload: NoPayload, context: TaskContext) -> DiagnosticsResult:
    """Report versions, services, settings, GPU and models."""
    return diagnostics_report.report(get_settings())


@bind(celery_app, declared.ocr_document)
def ocr_document(payload: OcrPayload, context: TaskContext) -> OcrResult:
    """Read an image or a document: in this task, or through the page flow where there is a database."""
    return _read(payload, context)


@bind(celery_app, declared.ocr_page)
def ocr_page(payload: OcrPagePayload, context: TaskContext) -> OcrResult:
    """Read one page, named by its number."""
    return _read(payload, context, payload.page_number)


@bind(celery_app, declared.ocr_pdf_document)
def ocr_pdf_document(payload: OcrPayload, context: TaskContext) -> OcrResult:
    """Read a document of many pages; with only a `document_id` this is a ticket of the page flow."""
    return _read(payload, context)


@bind(celery_app, declared.reconcile)
def reconcile(payload: NoPayload, context: TaskContext) -> ReconcileResult:
    """Issue tickets for documents that have lost theirs. Without a database there is nothing to do."""
    if not has_database():
        return ReconcileResult()
    result = reconcile_once(get_settings(), get_engine(), count_tickets, issue_ticket)
    # After it, for the documents that it has ended.
    dispatch_webhooks(most=_WEBHOOKS_AT_ONCE)
    dispatch_study_aids()
    return result


@bind(celery_app, declared.purge_expired)
def purge_expired(payload: NoPayload, context: TaskContext) -> PurgeResult:
    """Delete documents that ended longer ago than they are kept. Without a database there is nothing to do."""
    if not has_database():
        return PurgeResult()
    return purge.purge_expired(get_settings(), get_engine(), get_store())


@bind(celery_app, declared.deliver_webhook)
def deliver_webhook(payload: WebhookPayload, context: TaskContext) -> WebhookResult:
    """Send one attempt of a webhook."""
    attempt = Attempt(payload.delivery_id, payload.attempt)
    return webhooks.deliver(get_settings(), get_engine(), attempt)


@bind(celery_app, declared.summarize_document)
def summarize_document(payload: SummaryPayload, context: TaskContext) -> StudyAidResult:
    """Summarise a document that has been read."""
    return _study(payload, context)


@bind(celery_app, declared.generate_flashcards)
def generate_flashcards(payload: FlashcardsPayload, context: TaskContext) -> StudyAidResult:
    """Make flashcards of a document that has been read."""
    return _study(payload, context)


@bind(celery_app, declared.generate_quiz)
def generate_quiz(payload: QuizPayload, context: TaskContext) -> StudyAidResult:
    """Make a quiz of a document that has been read."""
    return _study(payload, context)


def _study(payload: StudyPayload, context: TaskContext) -> StudyAidResult:
    database = get_engine()
    try:
        with tracing.within(context.traceparent):
            return StudyAids(get_settings(), database, context.draining).work(payload)
    finally:
        # What gave way, or waited for this one to end.
        with suppress(DatabaseUnreachable):
            dispatch_study_aids(database)


def _read(payload: OcrPayload, context: TaskContext, number: int | None = None) -> OcrResult:
    if not has_database():
        with tracing.span("document", parent=context.traceparent):
            whole = WholeDocument(get_settings(), get_store(), pool.get_ocr_engine, context.interrupted)
            return whole.read(payload, context.task_id)
    flow = _page_flow(context)
    with tracing.within(context.traceparent):
        document_id: UUID = flow.accept(payload, context.task_id)
    try:
        with ticket_of(document_id, flow.database, context):
            return flow.work(document_id, number)
    finally:
        # The ticket that ends makes room for another document's. Where that fails the reconciler makes up for it.
        if _has_queue(context):
            with suppress(DatabaseUnreachable):
                dispatch(flow.database)
                dispatch_webhooks(flow.database)
                dispatch_study_aids(flow.database)


def _page_flow(context: TaskContext) -> PageFlow:
    settings = get_settings()
    if not context.takes_turns:
        settings = settings.model_copy(update={"quire_ticket_seconds": _NO_END, "quire_turn_seconds": _NO_END})
    return PageFlow(
        settings=settings,
        database=get_engine(),
        store=get_store(),
        ocr=pool.get_ocr_engine,
        issue_ticket=issue_ticket if _has_queue(context) else lambda _: None,
        others_wait=_others_wait if context.takes_turns else lambda: False,
        draining=context.draining,
    )


def _has_queue(context: TaskContext) -> bool:
    """Whether there is one to publish to: serverless workers may know of none, and each attempt costs a second."""
    return context.takes_turns or get_settings().has_broker


def _others_wait() -> bool:
    """Whether tickets lie in the queue; taken for granted while Redis cannot say."""
    try:
        return count_tickets() > 0
    except BrokerUnreachable:
        return True


def _require_every_declaration() -> None:
    missing = {task.name for task in declared.ALL} - set(celery_app.tasks)
    if missing:
        raise RuntimeError(f"Declared in quire.tasks but bound to nothing here: {', '.join(sorted(missing))}.")


_require_every_declaration()
