"""Every error Quire raises on purpose: a stable code, and a sentence that says what to do.

A `QuireError` carries one string, so that Celery's JSON result backend can rebuild it on the caller's side.
"""

from __future__ import annotations

from typing import ClassVar


class QuireError(Exception):
    """Base of all typed errors.

    `code` is stable and safe to switch on; `str(error)` is for people. `retryable` says that the same call may succeed
    later without anything being changed.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """The sentence shown to people."""
        return str(self.args[0]) if self.args else self.code


class SettingsError(QuireError):
    """An environment variable is missing or has a value that cannot be used."""

    code = "invalid_settings"


class InvalidPayload(QuireError):
    """A task was called with fields it does not have, or with values it cannot take."""

    code = "invalid_payload"


class UnsignedMessage(QuireError):
    """A task message without the signature that the worker asks for."""

    code = "unsigned_message"


class DocumentNotFound(QuireError):
    """No document with that id is in the database."""

    code = "document_not_found"


# --- Jobs -------------------------------------------------------------------------------------------------------------


class JobNotFound(QuireError):
    """No job with that id was ever issued, or its document was deleted; the message says which."""

    code = "job_not_found"


class JobExpired(QuireError):
    """The job ended longer ago than results are kept (`QUIRE_RESULT_RETENTION`)."""

    code = "job_expired"


class JobCancelled(QuireError):
    """The job was cancelled before it ended, so there is no result."""

    code = "job_cancelled"


class Unauthorized(QuireError):
    """A call of the API without a valid key."""

    code = "unauthorized"


class Forbidden(QuireError):
    """A call of the API that its key does not allow."""

    code = "forbidden"


class TooMuch(QuireError):
    """Base of the limits on what a caller may ask for. `retry_after` is the seconds until there is room again."""

    def __init__(self, message: str, retry_after: int = 60) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(TooMuch):
    """A key's requests of this minute are used up."""

    code = "rate_limited"


class QuotaExceeded(TooMuch):
    """A key's pages, or tokens of study aids, of this day are used up."""

    code = "quota_exceeded"


class WebhookNotFound(QuireError):
    """No webhook endpoint or message with that id is in the database."""

    code = "webhook_not_found"


class AlreadyEnded(QuireError):
    """A document that has ended was to be cancelled."""

    code = "already_ended"


class NothingFailed(QuireError):
    """A document of which nothing failed was to be read again."""

    code = "nothing_failed"


class NotFinished(QuireError):
    """A document that is still being read was to be exported."""

    code = "not_finished"


class IdempotencyConflict(QuireError):
    """An `Idempotency-Key` was used for another request before."""

    code = "idempotency_conflict"


class AddressNotAllowed(QuireError):
    """A URL leads to an address that Quire does not connect to."""

    code = "address_not_allowed"


class FetchFailed(QuireError):
    """What is at a URL could not be fetched."""

    code = "fetch_failed"


# --- What can be wrong with a document -------------------------------------------------------------------------------


class DocumentError(QuireError):
    """The document itself cannot be processed; sending the same bytes again gives the same answer."""


class Encrypted(DocumentError):
    """The PDF needs a password to be opened."""

    code = "encrypted"


class Corrupt(DocumentError):
    """The bytes are not a complete file of the type they claim to be."""

    code = "corrupt"


class UnsupportedMediaType(DocumentError):
    """The bytes are of no type that Quire reads."""

    code = "unsupported_media_type"


class TooLarge(DocumentError):
    """The file, or one of its pages, is over a limit in bytes or pixels."""

    code = "too_large"


class TooManyPages(DocumentError):
    """The document has more pages than `QUIRE_MAX_PAGES`."""

    code = "too_many_pages"


class Empty(DocumentError):
    """The file has no bytes or no pages."""

    code = "empty"


class PageOutOfRange(DocumentError):
    """A page was asked for that the document does not have."""

    code = "page_out_of_range"


class NoTextLayer(DocumentError):
    """`text_layer="only"` was asked for a page that has no usable text layer."""

    code = "no_text_layer"


# --- What can go wrong while working on it ----------------------------------------------------------------------------


class PageTimeout(QuireError):
    """A page took longer than it may."""

    code = "timeout"


class OutOfMemory(QuireError):
    """A page needed more memory than there was."""

    code = "out_of_memory"


class WorkerLost(QuireError):
    """The worker process ended, each time, while this page or document was being worked on."""

    code = "worker_lost"


class WorkerStopped(QuireError):
    """The worker was told to stop, or nobody waits any more, before a document that it reads in one go was read."""

    code = "worker_stopped"
    retryable = True


class EngineUnavailable(QuireError):
    """The OCR engine or its models could not be loaded."""

    code = "engine_unavailable"


class ModelsUnreachable(QuireError):
    """Where models are to be downloaded from does not answer, or does not have them."""

    code = "models_unreachable"
    retryable = True


class ModelDamaged(QuireError):
    """A model's files are not those that were published."""

    code = "model_damaged"


# --- Study aids -------------------------------------------------------------------------------------------------------


class ArtifactNotFound(QuireError):
    """No study aid with that id belongs to the document."""

    code = "artifact_not_found"


class ArtifactBusy(QuireError):
    """A study aid that is being made was to be made again, or exported."""

    code = "artifact_busy"


class NoText(QuireError):
    """The document has no text that a study aid could be made of."""

    code = "no_text"


class LlmUnavailable(QuireError):
    """No language model is set up, or the endpoint has none of that name."""

    code = "llm_unavailable"


class LlmKeyRejected(QuireError):
    """The endpoint does not take the key, or the account behind it has nothing left."""

    code = "llm_key_rejected"


class LlmRefused(QuireError):
    """The model, or the filter before it, refuses to work on this text."""

    code = "llm_refused"


class LlmContextOverflow(QuireError):
    """A request does not fit into the model's context."""

    code = "llm_context_overflow"


class LlmUnreachable(QuireError):
    """The endpoint did not answer, or was too busy, each time. `wait` is the seconds that it asked for."""

    code = "llm_unreachable"

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class LlmFailed(QuireError):
    """The model's answers could not be used."""

    code = "llm_failed"


class LlmBudgetExceeded(QuireError):
    """The tokens that a document, or an owner on one day, may cost are used up."""

    code = "llm_budget_exceeded"


# --- Rented capacity --------------------------------------------------------------------------------------------------


class RunpodKeyRejected(QuireError):
    """RunPod does not take the key, or the account behind it may not do this."""

    code = "runpod_key_rejected"


class RunpodRefused(QuireError):
    """RunPod answered that what was asked for cannot be done; asking again gives the same answer."""

    code = "runpod_refused"


class RunpodUnreachable(QuireError):
    """RunPod did not answer, or was too busy, each time; nothing was done."""

    code = "runpod_unreachable"
    retryable = True


class RunpodNoCapacity(QuireError):
    """RunPod has no machine of the kind that was asked for; nothing was done."""

    code = "runpod_no_capacity"
    retryable = True


class RunpodUncertain(QuireError):
    """RunPod was asked for something that costs money, and it is not known whether it was done: the answer was lost."""

    code = "runpod_uncertain"


# --- Object storage ---------------------------------------------------------------------------------------------------


class StorageError(QuireError):
    """Base of the object storage errors."""


class ObjectNotFound(StorageError):
    """There is no object under that key."""

    code = "object_not_found"


class StorageAccessDenied(StorageError):
    """The store answered that these credentials may not do this."""

    code = "storage_access_denied"


class BucketNotAllowed(StorageError):
    """A payload names a bucket that this worker does not read from."""

    code = "bucket_not_allowed"


class StorageUnreachable(StorageError):
    """The store did not answer, or answered that it cannot serve just now."""

    code = "storage_unreachable"
    retryable = True


# --- Servers ----------------------------------------------------------------------------------------------------------


class DatabaseUnreachable(QuireError):
    """Postgres did not answer."""

    code = "database_unreachable"
    retryable = True


class BrokerUnreachable(QuireError):
    """Redis did not answer, so nothing could be queued."""

    code = "broker_unreachable"
    retryable = True


# --- From a stored code back to an error ------------------------------------------------------------------------------


def error_from(code: str, message: str) -> QuireError:
    """The error that was stored as this code and message; a plain `QuireError` where the code is not known here."""
    pending: list[type[QuireError]] = [QuireError]
    while pending:
        kind = pending.pop(0)
        if kind.code == code:
            return kind(message)
        pending.extend(kind.__subclasses__())
    return QuireError(f"{message} ({code})")
