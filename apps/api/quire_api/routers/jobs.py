"""Submit a stored object, ask for its result: two calls that need nothing but an id in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from quire.contracts import BucketName, ObjectKey, OcrResult
from quire.errors import DatabaseUnreachable, JobCancelled, JobExpired, JobNotFound, QuireError
from quire.job import Job
from quire.settings import get_settings
from quire.storage import get_store
from quire_api import problems
from quire_api.caller import CurrentCaller, owner_of, require_quota, require_token_quota
from quire_api.idempotency import RequestKey
from quire_api.imports import accept_object
from quire_api.routers.documents import IdempotencyKey, ReadingOptions

router = APIRouter(tags=["jobs"])


class Submission(ReadingOptions):
    """A stored object to read, and how."""

    key: ObjectKey
    bucket: BucketName | None = None


class Submitted(BaseModel):
    """The document was accepted. `call_id` is its id, too."""

    call_id: UUID


class Waiting(BaseModel):
    """The job has not ended."""

    status: Literal["pending", "running"]
    pages_done: int
    pages_failed: int
    pages_total: int | None = Field(description="None until the document has been opened.")


_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "Not yet", "model": Waiting},
    404: {"description": "`job_not_found` or `job_expired`", "model": problems.Problem},
    409: {"description": "`job_cancelled`", "model": problems.Problem},
    422: {"description": "It failed: the job's own code", "model": problems.Problem},
}


@router.post("/submit", status_code=202, summary="Submit a stored object")
def submit(submission: Submission, caller: CurrentCaller, idempotency_key: IdempotencyKey = None) -> Submitted:
    """Queue an object that is in the store. It is accepted while Redis is down, too, and read when that is back."""
    require_quota(caller)
    if submission.follow_ups:
        require_token_quota(caller)
    owner = owner_of(submission.owner, caller)
    accepted = accept_object(
        submission.key,
        submission.bucket,
        submission.ocr_options(),
        get_settings(),
        get_store(),
        owner=owner,
        priority=submission.priority,
        follow_ups=submission.follow_ups,
        may_name_uploads=caller.owner is None,
        request_key=RequestKey.of(owner, idempotency_key, submission),
    )
    return Submitted(call_id=accepted.id)


@router.get("/result/{call_id}", response_model=OcrResult, responses=_RESPONSES, summary="Ask for a result")
def result(call_id: str, caller: CurrentCaller) -> Response:
    """The result with text and detections; 202 while there is none yet."""
    job = Job.from_id(call_id, owner=caller.owner)
    try:
        return StreamingResponse(_encoded(job, job.wait(timeout=0)), media_type="application/json")
    except TimeoutError:
        return _waiting(job)
    except (JobNotFound, JobExpired, JobCancelled, DatabaseUnreachable):
        raise
    except QuireError as failure:
        # Whatever its code says elsewhere: this request was answered, and its document could not be read.
        return problems.problem(HTTPStatus.UNPROCESSABLE_ENTITY, failure.code, failure.message)


def _encoded(job: Job, summary: OcrResult) -> Iterator[str]:
    """The result as JSON, a page at a time: that of a book is not in memory as a whole."""
    yield summary.model_dump_json(exclude_none=True)[:-1] + ',"detections":['
    texts: list[str] = []
    separator = ""
    for page in job.pages():
        texts.append(page.text)
        if page.detections:
            yield separator + ",".join(found.model_dump_json() for found in page.detections)
            separator = ","
    text = json.dumps("\n\n".join(texts), ensure_ascii=False)
    yield f'],"text":{text}}}'


def _waiting(job: Job) -> JSONResponse:
    progress = job.progress()
    body = Waiting(
        status="pending" if progress.status == "queued" else "running",
        pages_done=progress.pages_done,
        pages_failed=progress.pages_failed,
        pages_total=progress.pages_total,
    )
    return JSONResponse(body.model_dump(), HTTPStatus.ACCEPTED, {"Retry-After": "1"})
