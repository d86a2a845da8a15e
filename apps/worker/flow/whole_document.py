"""A document read within one task and returned: for callers that keep their own tables (no `DATABASE_URL`)."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from flow.pictures import KeepingPictures
from flow.sources import fetched, opened, page_in_source, wanted_pages
from ocr.engines import OcrEngine
from ocr.engines.by_options import engine_for
from ocr.read import ReadOptions, page_outcomes
from quire.contracts import OcrPayload, OcrResult, PageError, PageText
from quire.deletion import derived_prefix
from quire.errors import InvalidPayload, QuireError, WorkerStopped
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import RESULTS

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WholeDocument:
    """What reading a document in one go needs."""

    settings: Settings
    store: ObjectStore
    ocr: Callable[[], OcrEngine]
    interrupted: Callable[[], bool] = lambda: False

    def read(self, payload: OcrPayload, task_id: str) -> OcrResult:
        """Read every page asked for.

        A page that cannot be read is listed in `errors` and the status is `partial`. A result over
        `QUIRE_MAX_INLINE_RESULT_BYTES` is stored as JSON, and its key returned.

        Raises:
            WorkerStopped: `interrupted` turned True before the last pages were begun.
            QuireError: the document cannot be read, or none of its pages can (then: the first page's error).
        """
        if payload.key is None:
            raise InvalidPayload("key is required: this worker has no DATABASE_URL to look a document_id up in.")
        if payload.follow_ups:
            raise InvalidPayload("follow_ups: study aids are kept in a database. Set DATABASE_URL, or leave them out.")
        bucket = self.settings.readable_bucket(payload.bucket)
        options = ReadOptions.resolve(payload.options(), self.settings)
        engine = self._engine(options, payload, task_id)
        pages: list[PageText] = []
        errors: list[PageError] = []
        first_error: QuireError | None = None
        with fetched(self.store, bucket, payload.key, self.settings) as file, opened(file, self.settings) as source:
            page_count = source.page_count
            numbers = wanted_pages(source, payload.options(), payload.page_number)
            wanted = self._until_interrupted((page_in_source(source, number), number) for number in numbers)
            for number, outcome in zip(numbers, page_outcomes(source, wanted, options, engine), strict=True):
                if isinstance(outcome, PageText):
                    pages.append(outcome)
                else:
                    first_error = first_error or outcome
                    errors.append(PageError(page_number=number, code=outcome.code, message=outcome.message))
        if first_error is not None and not pages:
            raise first_error
        return self._result(payload, task_id, page_count, pages, errors)

    def _engine(self, options: ReadOptions, payload: OcrPayload, task_id: str) -> OcrEngine:
        """The engine for the options. Pictures lie beside the result, or where they go with their document."""
        engine = engine_for(self.ocr(), options)
        if options.mode == "text":
            return engine
        prefix = f"{RESULTS}{task_id}/" if payload.document_id is None else derived_prefix(payload.document_id)
        return KeepingPictures(engine, self.store, self.settings.default_bucket, prefix)

    def _until_interrupted(self, pages: Iterable[T]) -> Iterator[T]:
        """The pages, for as long as they are wanted."""
        for page in pages:
            if self.interrupted():
                raise WorkerStopped("The worker had to stop before the document was read.")
            yield page

    def _result(
        self, payload: OcrPayload, task_id: str, page_count: int, pages: list[PageText], errors: list[PageError]
    ) -> OcrResult:
        summary = OcrResult(
            status="partial" if errors else "completed",
            document_id=payload.document_id,
            page_count=page_count,
            pages_done=len(pages),
            pages_failed=len(errors),
            errors=tuple(errors),
        )
        full = summary.model_copy(
            update={
                "text": "\n\n".join(page.text for page in pages),
                "detections": tuple(found for page in pages for found in page.detections),
                "pages": tuple(pages),
            }
        )
        encoded = full.model_dump_json(exclude_none=True).encode()
        if len(encoded) <= self.settings.quire_max_inline_result_bytes:
            return full
        bucket, key = self.settings.default_bucket, f"{RESULTS}{task_id}.json"
        self.store.put(bucket, key, io.BytesIO(encoded), "application/json")
        return summary.model_copy(update={"result_bucket": bucket, "result_key": key})
