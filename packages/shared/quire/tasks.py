"""Every task, declared once: name, payload, result, limits, retries.

Callers use the declaration and need no worker code:

    from quire.tasks import ocr_document
    ocr_document.delay(key="invoices/7.pdf")

The worker binds its function to the same declaration (`apps/worker/binding.py`), so a mismatch fails at its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult
from kombu.exceptions import OperationalError
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from quire.contracts import (
    DiagnosticsResult,
    EchoPayload,
    FlashcardsPayload,
    NoPayload,
    OcrPagePayload,
    OcrPayload,
    OcrResult,
    Priority,
    PurgeResult,
    QuizPayload,
    ReconcileResult,
    StudyAidResult,
    SummaryPayload,
    WebhookPayload,
    WebhookResult,
)
from quire.errors import BrokerUnreachable, InvalidPayload, SettingsError
from quire.queues import producer, ticket_producer
from quire.settings import get_settings

if TYPE_CHECKING:
    from quire.job import Job

P = TypeVar("P", bound=BaseModel)
D = TypeVar("D", bound=OcrPayload)
R = TypeVar("R")

# Under the broker's visibility timeout (quire.queues), with room for the sweep that follows it.
DOCUMENT_TIME_LIMIT = 1560
# A ticket works for QUIRE_TICKET_SECONDS and then finishes the page it is on.
TICKET_TIME_LIMIT = 600


@dataclass(frozen=True)
class TaskDeclaration(Generic[P, R]):
    """One task as its callers and its worker both see it.

    `positional` names the payload fields that may be given by position. Limits are in seconds: at `soft_time_limit` the
    task gets an exception, at `time_limit` its process is killed. `max_retries` bounds retries of retryable errors and
    of lost processes alike.
    """

    name: str
    payload: type[P]
    result: Any
    positional: tuple[str, ...] = ()
    soft_time_limit: int = 60
    time_limit: int = 90
    max_retries: int = 3

    def parse(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> P:
        """The payload of a call with these arguments.

        Raises:
            InvalidPayload: naming every unknown, missing or unusable field, never its value.
        """
        if len(args) > len(self.positional):
            raise InvalidPayload(f"{self.name} takes by position: {', '.join(self.positional) or 'nothing'}.")
        named = dict(zip(self.positional, args, strict=False))
        repeated = named.keys() & (kwargs or {}).keys()
        if repeated:
            raise InvalidPayload(f"{self.name} was given {', '.join(sorted(repeated))} twice.")
        try:
            return self.payload.model_validate(named | (kwargs or {}))
        except ValidationError as error:
            raise InvalidPayload(self._explain(error)) from None

    def _explain(self, error: ValidationError) -> str:
        problems = []
        for issue in error.errors(include_input=False, include_url=False):
            field = ".".join(str(part) for part in issue["loc"])
            if issue["type"] == "extra_forbidden":
                problems.append(f"unknown field {field!r} (known: {', '.join(self.payload.model_fields) or 'none'})")
            else:
                problems.append(f"{field}: {issue['msg']}" if field else issue["msg"])
        return f"{self.name}: {'; '.join(problems)}"

    def dump_result(self, result: R) -> Any:
        """The JSON-safe form of a result; what has no value is left out."""
        return TypeAdapter(self.result).dump_python(result, mode="json", exclude_none=True)

    def load_result(self, data: Any) -> R:
        """The result that `dump_result` wrote."""
        loaded: R = TypeAdapter(self.result).validate_python(data)
        return loaded

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[Any]:
        """Queue a call and return Celery's handle on it. Arguments are the payload's fields.

        Raises:
            InvalidPayload: the arguments do not fit the payload.
            BrokerUnreachable: nothing was queued.
        """
        return self.send(self.parse(args, kwargs))

    def send(
        self,
        payload: P,
        *,
        keep_result: bool = True,
        time_limit: int | None = None,
        priority: int = 0,
        app: Celery | None = None,
    ) -> AsyncResult[Any]:
        """Queue a call with a payload that is already a model.

        `priority` is one of `quire.contracts.PRIORITIES`, 0 is taken first. `keep_result=False` leaves the result
        backend alone: publishing then cannot wait for it when it is down.

        Raises:
            BrokerUnreachable: nothing was queued (or, after a time-out, perhaps: delivery is at least once).
        """
        try:
            return (app or (producer() if keep_result else ticket_producer())).send_task(
                self.name,
                kwargs=payload.model_dump(mode="json", exclude_unset=True),
                ignore_result=not keep_result,
                soft_time_limit=time_limit and time_limit - 30,
                time_limit=time_limit,
                priority=priority,
                # Celery would copy the arguments in clear text into a header, and from there into logs and events.
                argsrepr="-",
                kwargsrepr="-",
            )
        except (OperationalError, OSError, RuntimeError) as error:
            # RuntimeError: the result backend's "Retry limit exceeded" when Redis is down.
            raise BrokerUnreachable(
                f"{self.name} could not be queued: Redis did not answer ({type(error).__name__}). Try again."
            ) from error


@dataclass(frozen=True)
class OcrTaskDeclaration(TaskDeclaration[D, OcrResult]):
    """A task that reads a document: with a database it can be called as a job."""

    def spawn(self, *args: Any, owner: str = "", priority: Priority = "interactive", **kwargs: Any) -> Job:
        """Submit a document and return its job, the id of which is enough to ask for it from any process.

        Arguments are the payload's fields; for `owner` and `priority` see `NewDocument`. While Redis is down the
        document is accepted and waits. A `document_id` of your own makes the call repeatable: what is there under it
        stays as it is.

        Raises:
            InvalidPayload: the arguments do not fit the payload.
            BucketNotAllowed: see `Settings.readable_bucket`.
            SettingsError: `DATABASE_URL` is not set; without a database there is only `delay`.
            DatabaseUnreachable: it was not accepted.
            JobNotFound, JobExpired: without a `key`, there is no document with this `document_id`.
        """
        # What submits a document publishes tasks, so it imports this module.
        from quire import jobs
        from quire.database.documents import NewDocument
        from quire.job import Job

        payload, settings = self.parse(args, kwargs), get_settings()
        if settings.database_url is None:
            raise SettingsError("spawn needs DATABASE_URL: jobs live in Postgres. Without one, call delay.")
        if payload.key is None:
            job = Job.from_id(str(payload.document_id))
            job.status()
            return job
        new = NewDocument(
            id=payload.document_id or uuid4(),
            bucket=settings.readable_bucket(payload.bucket),
            source_key=payload.key,
            options=payload.options(),
            page_number=payload.page_number,
            owner=owner,
            priority=priority,
            follow_ups=payload.follow_ups,
        )
        jobs.submit(new)
        return Job(new.id)


echo: TaskDeclaration[EchoPayload, JsonValue] = TaskDeclaration(
    "tasks.echo", EchoPayload, JsonValue, positional=("payload",)
)
diagnostics: TaskDeclaration[NoPayload, DiagnosticsResult] = TaskDeclaration(
    "tasks.diagnostics", NoPayload, DiagnosticsResult
)
ocr_document: OcrTaskDeclaration[OcrPayload] = OcrTaskDeclaration(
    "tasks.ocr_document",
    OcrPayload,
    OcrResult,
    positional=("key",),
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)
ocr_page: OcrTaskDeclaration[OcrPagePayload] = OcrTaskDeclaration(
    "tasks.ocr_page",
    OcrPagePayload,
    OcrResult,
    positional=("key", "page_number"),
    soft_time_limit=TICKET_TIME_LIMIT - 30,
    time_limit=TICKET_TIME_LIMIT,
)
ocr_pdf_document: OcrTaskDeclaration[OcrPayload] = OcrTaskDeclaration(
    "tasks.ocr_pdf_document",
    OcrPayload,
    OcrResult,
    positional=("key",),
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)
reconcile: TaskDeclaration[NoPayload, ReconcileResult] = TaskDeclaration("tasks.reconcile", NoPayload, ReconcileResult)

purge_expired: TaskDeclaration[NoPayload, PurgeResult] = TaskDeclaration(
    "tasks.purge_expired",
    NoPayload,
    PurgeResult,
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)

deliver_webhook: TaskDeclaration[WebhookPayload, WebhookResult] = TaskDeclaration(
    "tasks.deliver_webhook", WebhookPayload, WebhookResult
)

# A study aid gives way after QUIRE_TICKET_SECONDS, when the requests that it has begun are answered.
summarize_document: TaskDeclaration[SummaryPayload, StudyAidResult] = TaskDeclaration(
    "tasks.summarize_document",
    SummaryPayload,
    StudyAidResult,
    positional=("document_id",),
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)
generate_flashcards: TaskDeclaration[FlashcardsPayload, StudyAidResult] = TaskDeclaration(
    "tasks.generate_flashcards",
    FlashcardsPayload,
    StudyAidResult,
    positional=("document_id",),
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)
generate_quiz: TaskDeclaration[QuizPayload, StudyAidResult] = TaskDeclaration(
    "tasks.generate_quiz",
    QuizPayload,
    StudyAidResult,
    positional=("document_id",),
    soft_time_limit=DOCUMENT_TIME_LIMIT - 60,
    time_limit=DOCUMENT_TIME_LIMIT,
)

ALL: tuple[TaskDeclaration[Any, Any], ...] = (
    echo,
    diagnostics,
    ocr_document,
    ocr_page,
    ocr_pdf_document,
    reconcile,
    purge_expired,
    deliver_webhook,
    summarize_document,
    generate_flashcards,
    generate_quiz,
)
