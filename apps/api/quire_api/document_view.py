"""Documents and pages as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from quire.contracts import (
    PRIORITIES,
    Block,
    Detection,
    DocumentStatus,
    OcrOptions,
    PageSourceKind,
    PageTransform,
    Priority,
    Word,
)
from quire.database import listing
from quire.database.documents import Created
from quire.database.tables import Document, Page

PageStatus = Literal["pending", "running", "done", "failed"]
_PRIORITY_NAMES: dict[int, Priority] = {number: name for name, number in PRIORITIES.items()}
_PAGE_STATUS: dict[str, PageStatus] = {"pending": "pending", "leased": "running", "done": "done", "failed": "failed"}


class Failure(BaseModel):
    """Why a document or page has no text. `code` is stable; see the table of codes in the README."""

    code: str
    message: str


class DocumentView(BaseModel):
    """A document and how far it is."""

    id: UUID
    status: DocumentStatus
    filename: str | None
    media_type: str | None
    bytes: int | None
    sha256: str | None
    key: str
    page_count: int | None = Field(description="Pages of the file; None until it has been opened.")
    pages_total: int | None = Field(description="Pages to read of them.")
    pages_done: int
    pages_failed: int
    priority: Priority
    options: OcrOptions
    owner: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: Failure | None
    queue_position: int | None = Field(None, description="Documents before it; None if it does not wait, and in lists.")
    eta_seconds: float | None = Field(None, description="About how long it will still take; None if nothing tells.")


class PageView(BaseModel):
    """A page. Boxes are in pixels of its image, which has `width` × `height`; see `GET …/image`."""

    page_number: int
    status: PageStatus
    attempts: int
    width: int | None = None
    height: int | None = None
    dpi: float | None = None
    rotation: int | None = None
    source: PageSourceKind | None = None
    engine: str | None = None
    text: str | None = None
    confidence: float | None = None
    detections: list[Detection] | None = None
    words: list[Word] | None = None
    blocks: list[Block] | None = None
    markdown: str | None = None
    transform: PageTransform | None = None
    timings: dict[str, float] | None = None
    error: Failure | None = None


# What a page has most of.
BOXES = ("detections", "words", "blocks", "transform")
_PAGE_COLUMNS = PageView.model_fields.keys() - {"page_number", "status", "error"}


def document_view(document: Document) -> DocumentView:
    """A document as its row has it."""
    return DocumentView(
        id=document.id,
        status=document.status,
        filename=document.filename,
        media_type=document.media_type,
        bytes=document.source_bytes,
        sha256=document.source_sha256,
        key=document.source_key,
        page_count=document.page_count,
        pages_total=document.pages_total,
        pages_done=document.pages_done,
        pages_failed=document.pages_failed,
        priority=_PRIORITY_NAMES[document.priority],
        options=OcrOptions.model_validate(document.options),
        owner=document.owner,
        created_at=document.created_at,
        started_at=document.started_at,
        finished_at=document.finished_at,
        error=_failure(document.error_code, document.error_message),
    )


def document_view_now(session: Session, document: Document) -> DocumentView:
    """A document with its place in the queue."""
    return _view_at(session, document, listing.position_of(session, document))


def created_view(session: Session, created: Created) -> DocumentView:
    """A document that was accepted a moment ago."""
    return _view_at(session, created.document, created.position)


def _view_at(session: Session, document: Document, position: int | None) -> DocumentView:
    left = listing.seconds_left(session, document, position)
    return document_view(document).model_copy(update={"queue_position": position, "eta_seconds": left})


def page_view(page: Page, *, text_only: bool = False) -> PageView:
    """A page; with `text_only` without its boxes."""
    known: dict[str, Any] = {name: getattr(page, name) for name in _PAGE_COLUMNS if not (text_only and name in BOXES)}
    known |= {"page_number": page.number, "status": _PAGE_STATUS[page.status]}
    known["error"] = _failure(page.error_code, page.error_message)
    return PageView(**known)


def _failure(code: str | None, message: str | None) -> Failure | None:
    return None if code is None else Failure(code=code, message=message or "")
