"""Upload a document, poll for its text."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, Field, ValidationError

from quire.contracts import Detection, OcrOptions, Owner, PageError, Priority, Text
from quire.database import documents
from quire.database.engine import transaction
from quire.database.tables import Document
from quire.errors import InvalidPayload
from quire.settings import get_settings
from quire.storage import get_store
from quire_api.caller import CurrentCaller, owner_of, require_quota
from quire_api.uploads import store_upload, submit_upload
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/ocr", tags=["ocr"])

TaskStatus = Literal["PENDING", "STARTED", "SUCCESS", "FAILURE"]

_TASK_STATUS: dict[str, TaskStatus] = {
    "queued": "PENDING",
    "running": "STARTED",
    "completed": "SUCCESS",
    "partial": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "FAILURE",
}


class Accepted(BaseModel):
    """The document was stored and will be read."""

    task_id: UUID
    status: Literal["pending"] = "pending"
    message: str = "OCR task queued successfully."


class TaskOutput(BaseModel):
    """What a finished task gave: detections, or an error. `page_errors` lists pages that could not be read."""

    detections: list[Detection] | None = None
    page_errors: list[PageError] | None = None
    error: str | None = None
    code: str | None = None


class TaskResult(BaseModel):
    """State of one task. `pending_tasks` counts the documents that nobody has begun, up to 1,000."""

    task_id: UUID
    status: TaskStatus
    result: TaskOutput | None = None
    pages_done: int
    pages_failed: int
    pages_total: int | None = Field(description="None until the document has been opened.")
    pending_tasks: int


@router.post("/process", status_code=202)
def process(
    file: Annotated[UploadFile, File(description="PDF, PNG, JPEG, WebP, BMP, TIFF or HEIC")],
    pages: Annotated[str | None, Form(description='such as "1-3,7"')] = None,
    lang_hints: Annotated[list[Text] | None, Form()] = None,
    text_layer: Annotated[Literal["auto", "never", "only"], Form()] = "auto",
    dpi: Annotated[int | None, Form(ge=36, le=600)] = None,
    min_confidence: Annotated[float | None, Form(ge=0, le=1)] = None,
    priority: Annotated[
        Priority, Form(description="interactive documents are read before those in bulk")
    ] = "interactive",
    owner: Annotated[Owner, Form(description="documents of different owners take turns")] = "",
    *,
    caller: CurrentCaller,
) -> Accepted:
    """Store a document and queue it for OCR."""
    try:
        options = OcrOptions(
            pages=pages,
            lang_hints=tuple(lang_hints or ()),
            text_layer=text_layer,
            dpi=dpi,
            min_confidence=min_confidence,
        )
    except ValidationError as error:
        raise InvalidPayload("; ".join(issue["msg"] for issue in error.errors(include_input=False))) from None
    require_quota(caller)
    stored = store_upload(
        file.file,
        file.filename,
        options,
        get_settings(),
        get_store(),
        owner=owner_of(owner, caller),
        priority=priority,
    )
    return Accepted(task_id=submit_upload(stored, get_store()).id)


@router.get("/results/{task_id}", response_model_exclude_none=True)
def results(task_id: UUID, caller: CurrentCaller) -> TaskResult:
    """How far a task is, and its detections when it has ended."""
    with transaction() as session:
        document = visible_document(session, task_id, caller)
        output: dict[str, Any] | None = None
        if document.status in ("completed", "partial"):
            output = {
                "detections": documents.read_detections(session, task_id),
                "page_errors": documents.read_page_errors(session, task_id) or None,
            }
        elif document.status in ("failed", "cancelled"):
            output = _failure(document)
        return TaskResult(
            task_id=task_id,
            status=_TASK_STATUS[document.status],
            result=TaskOutput(**output) if output else None,
            pages_done=document.pages_done,
            pages_failed=document.pages_failed,
            pages_total=document.pages_total,
            pending_tasks=documents.count_waiting(session),
        )


def _failure(document: Document) -> dict[str, Any]:
    if document.status == "cancelled":
        return {"error": "The task was cancelled.", "code": "cancelled"}
    return {"error": document.error_message, "code": document.error_code}
