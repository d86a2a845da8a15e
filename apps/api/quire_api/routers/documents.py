"""Documents: submitted, listed, looked at, cancelled, read again, deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Header, Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool

from quire import jobs
from quire.contracts import (
    BucketName,
    DocumentStatus,
    FollowUps,
    Mode,
    ObjectKey,
    OcrOptions,
    Owner,
    Priority,
    StudyRequest,
    Text,
    WebAddress,
)
from quire.database import listing
from quire.database.engine import statements, transaction
from quire.deletion import delete_document
from quire.errors import AlreadyEnded, InvalidPayload, NothingFailed
from quire.settings import get_settings
from quire.storage import get_store
from quire_api import problems
from quire_api.caller import Caller, CurrentCaller, owner_of, require_quota, require_token_quota
from quire_api.document_view import DocumentView, created_view, document_view, document_view_now
from quire_api.idempotency import AcceptedDocument, RequestKey
from quire_api.imports import accept_object, accept_url
from quire_api.own_threads import FETCHES, STORES, SUBMISSIONS
from quire_api.uploads import StoredUpload, digest_of, store_upload, submit_upload
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/documents", tags=["documents"])

NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "`document_not_found`", "model": problems.Problem}
}
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request gets the first answer's document.",
    ),
]
_FOLLOW_UP: Final[TypeAdapter[StudyRequest]] = TypeAdapter(StudyRequest)
_FOLLOW_UPS: Final[TypeAdapter[FollowUps]] = TypeAdapter(FollowUps)


class ReadingOptions(OcrOptions):
    """How a document is read, and when."""

    priority: Priority = Field("interactive", description="interactive documents are read before those in bulk")
    owner: Owner = Field("", description="Only without keys: documents of different owners take turns.")
    follow_ups: FollowUps = ()

    def ocr_options(self) -> OcrOptions:
        """The part that decides the text."""
        return OcrOptions(**{name: getattr(self, name) for name in OcrOptions.model_fields})


class Import(ReadingOptions):
    """An object of the store, or an address, to read: exactly one of `key` and `url`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"key": "invoices/2026/0417.pdf", "pages": "1-3"},
                {"url": "https://you.example/scan.tiff", "lang_hints": ["de"], "priority": "bulk"},
            ]
        }
    )

    key: ObjectKey | None = None
    bucket: BucketName | None = None
    url: WebAddress | None = None

    @model_validator(mode="after")
    def _names_one_source(self) -> Import:
        if (self.key is None) == (self.url is None):
            raise ValueError("give either key or url")
        return self


class DocumentList(BaseModel):
    """Documents, the newest first. `next_cursor` asks for those that follow; None at the end."""

    items: list[DocumentView]
    next_cursor: str | None


async def reading_options(
    pages: Annotated[str | None, Form(description='such as "1-3,7"')] = None,
    lang_hints: Annotated[list[Text] | None, Form(description="languages expected besides PADDLEOCR_LANG")] = None,
    mode: Annotated[Mode, Form(description="lines of text, or blocks, tables and pictures as well")] = "text",
    text_layer: Annotated[Literal["auto", "never", "only"], Form()] = "auto",
    dpi: Annotated[int | None, Form(ge=36, le=600)] = None,
    min_confidence: Annotated[float | None, Form(ge=0, le=1)] = None,
    doc_orientation: Annotated[bool, Form(description="find out how a page image is turned")] = False,
    doc_unwarping: Annotated[bool, Form(description="flatten the image of a bent page")] = False,
    textline_orientation: Annotated[bool, Form(description="find lines that are upside down")] = False,
    priority: Annotated[Priority, Form()] = "interactive",
    owner: Annotated[Owner, Form()] = "",
    follow_ups: Annotated[
        list[str] | None,
        Form(description='study aids to make when it has been read: "summary", or JSON with `kind` and `options`'),
    ] = None,
) -> ReadingOptions:
    """The options of a form."""
    try:
        return ReadingOptions(
            pages=pages,
            lang_hints=tuple(lang_hints or ()),
            mode=mode,
            text_layer=text_layer,
            dpi=dpi,
            min_confidence=min_confidence,
            doc_orientation=doc_orientation,
            doc_unwarping=doc_unwarping,
            textline_orientation=textline_orientation,
            priority=priority,
            owner=owner,
            follow_ups=read_follow_ups(follow_ups or []),
        )
    except ValidationError as error:
        raise InvalidPayload("; ".join(issue["msg"] for issue in error.errors(include_input=False))) from None


def read_follow_ups(fields: list[str]) -> tuple[StudyRequest, ...]:
    """Study aids as a form names them: by their kind, or as JSON objects.

    Raises:
        ValidationError: one is neither.
    """
    return _FOLLOW_UPS.validate_python(
        [_FOLLOW_UP.validate_json(each) if each.lstrip().startswith("{") else {"kind": each} for each in fields]
    )


@router.post("", status_code=202, summary="Upload a document")
async def create(
    file: Annotated[UploadFile, File(description="PDF, PNG, JPEG, WebP, BMP, TIFF or HEIC")],
    options: Annotated[ReadingOptions, Depends(reading_options)],
    caller: CurrentCaller,
    idempotency_key: IdempotencyKey = None,
) -> DocumentView:
    """Store a file and queue it. It is accepted while Redis is down, too, and read when that is back."""
    stored = await STORES.run(_store, file, options, caller, idempotency_key)
    return await SUBMISSIONS.run(_submit, stored, caller)


def _store(file: UploadFile, options: ReadingOptions, caller: Caller, idempotency_key: str | None) -> StoredUpload:
    require_quota(caller)
    if options.follow_ups:
        require_token_quota(caller)
    owner = owner_of(options.owner, caller)
    request_key = RequestKey.of(owner, idempotency_key, options)
    return store_upload(
        file.file,
        file.filename,
        options.ocr_options(),
        get_settings(),
        get_store(),
        owner=owner,
        priority=options.priority,
        follow_ups=options.follow_ups,
        request_key=request_key and request_key.with_content(digest_of(file.file)),
    )


def _submit(stored: StoredUpload, caller: Caller) -> DocumentView:
    return _view_of(submit_upload(stored, get_store()), caller)


@router.post("/import", status_code=202, summary="Read a stored object or an address")
async def import_document(
    source: Import, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
) -> DocumentView:
    """Queue an object that is in the store already, or fetch what is at an address and queue that."""
    if source.url is None:
        return await run_in_threadpool(_import, source, caller, idempotency_key)
    return await FETCHES.run(_import, source, caller, idempotency_key)


def _import(source: Import, caller: Caller, idempotency_key: str | None) -> DocumentView:
    require_quota(caller)
    if source.follow_ups:
        require_token_quota(caller)
    owner = owner_of(source.owner, caller)
    settings, store, options = get_settings(), get_store(), source.ocr_options()
    request_key = RequestKey.of(owner, idempotency_key, source)
    if source.url is not None:
        submitted = accept_url(
            source.url,
            options,
            settings,
            store,
            owner=owner,
            priority=source.priority,
            follow_ups=source.follow_ups,
            request_key=request_key,
        )
    else:
        assert source.key is not None
        submitted = accept_object(
            source.key,
            source.bucket,
            options,
            settings,
            store,
            owner=owner,
            priority=source.priority,
            follow_ups=source.follow_ups,
            may_name_uploads=caller.owner is None,
            request_key=request_key,
        )
    return _view_of(submitted, caller)


@router.get("", summary="List documents")
def list_all(
    caller: CurrentCaller,
    status: DocumentStatus | None = None,
    filename: Annotated[Text | None, Query(max_length=255, description="a part of it, in any case")] = None,
    created_after: Annotated[datetime | None, Query(description="UTC where no offset is given")] = None,
    created_before: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> DocumentList:
    """The caller's documents, the newest first."""
    filters = listing.Filters(caller.owner, status, filename, _with_zone(created_after), _with_zone(created_before))
    with transaction() as session:
        found, following = listing.list_documents(session, filters, limit=limit, cursor=cursor)
        return DocumentList(items=[document_view(each) for each in found], next_cursor=following)


@router.get("/{document_id}", responses=NOT_FOUND, summary="Look at a document")
def get_one(document_id: UUID, caller: CurrentCaller) -> DocumentView:
    """A document, how far it is, and about when it will be done."""
    return _view(document_id, caller)


@router.post(
    "/{document_id}/cancel",
    responses=NOT_FOUND | {409: {"description": "`already_ended`", "model": problems.Problem}},
    summary="Cancel a document",
)
def cancel(document_id: UUID, caller: CurrentCaller) -> DocumentView:
    """Stop reading: pages in work are finished, no others begun."""
    _require_visible(document_id, caller)
    if not jobs.cancel(document_id):
        raise AlreadyEnded(f"Document {document_id} has ended: there is nothing to cancel.")
    return _view(document_id, caller)


@router.post(
    "/{document_id}/retry",
    status_code=202,
    responses=NOT_FOUND | {409: {"description": "`nothing_failed`", "model": problems.Problem}},
    summary="Read failed pages again",
)
def retry(document_id: UUID, caller: CurrentCaller) -> DocumentView:
    """Have the pages that failed read again, those alone; or open the document again, if that failed."""
    _require_visible(document_id, caller)
    if not jobs.retry(document_id):
        raise NothingFailed(f"No page of document {document_id} has failed: there is nothing to read again.")
    return _view(document_id, caller)


@router.delete("/{document_id}", status_code=204, responses=NOT_FOUND, summary="Delete a document")
def delete(document_id: UUID, caller: CurrentCaller) -> None:
    """Delete a document for good: its text, its upload and what was made from it."""
    _require_visible(document_id, caller)
    jobs.cancel(document_id)
    delete_document(get_settings(), get_store(), document_id)


def _with_zone(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _view_of(submitted: AcceptedDocument, caller: Caller) -> DocumentView:
    if submitted.created is None:
        return _view(submitted.id, caller)
    with statements() as session:
        return created_view(session, submitted.created)


def _view(document_id: UUID, caller: Caller) -> DocumentView:
    with statements() as session:
        return document_view_now(session, visible_document(session, document_id, caller))


def _require_visible(document_id: UUID, caller: Caller) -> None:
    with transaction() as session:
        visible_document(session, document_id, caller)
