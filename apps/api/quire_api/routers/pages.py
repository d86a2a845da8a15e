"""Pages of a document: their text and boxes, their images, and where a text is."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel

from quire.contracts import Box
from quire.database import page_listing
from quire.database.engine import transaction
from quire.errors import PageOutOfRange
from quire.settings import get_settings
from quire.storage import get_store
from quire_api.caller import CurrentCaller
from quire_api.document_view import PageStatus, PageView, page_view
from quire_api.page_images import PageImages
from quire_api.routers.documents import NOT_FOUND
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/documents/{document_id}", tags=["pages"], responses=NOT_FOUND)

# Page numbers of Postgres' integer type.
PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
_After = Annotated[int, Query(alias="cursor", ge=0, le=2**31 - 1, description="next_cursor of the answer before")]
_JPEG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


class PageList(BaseModel):
    """Pages by number. `next_cursor` asks for those that follow; None at the end."""

    items: list[PageView]
    next_cursor: str | None


class Found(BaseModel):
    """A line that the text is on: its index among the page's detections, from 0, and its box."""

    page_number: int
    line: int
    text: str
    box: Box


class FoundList(BaseModel):
    """Lines by page. `next_cursor` goes on after the last page that was searched; None at the end."""

    items: list[Found]
    next_cursor: str | None


@router.get("/pages", summary="List pages")
def list_pages(
    document_id: UUID,
    caller: CurrentCaller,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: _After = 0,
    status: PageStatus | None = None,
    text_only: Annotated[bool, Query(description="leave detections and words out")] = False,
) -> PageList:
    """Pages and how far they are; those that are read can be fetched while others still are."""
    with transaction() as session:
        visible_document(session, document_id, caller)
        pages = page_listing.list_pages(
            session, document_id, limit=limit + 1, after=after, status=status, text_only=text_only
        )
        items = [page_view(page, text_only=text_only) for page in pages[:limit]]
    return PageList(items=items, next_cursor=str(items[-1].page_number) if len(pages) > limit else None)


@router.get("/pages/{number}", summary="One page")
def get_page(document_id: UUID, number: PageNumber, caller: CurrentCaller) -> PageView:
    """A page with everything that is known about it."""
    with transaction() as session:
        visible_document(session, document_id, caller)
        page = page_listing.get_page(session, document_id, number)
        if page is None:
            raise PageOutOfRange(f"Page {number} is not among the pages of this document that are read.")
        return page_view(page)


@router.get("/pages/{number}/image", summary="The image of a page", response_class=Response, responses=_JPEG)
def get_image(
    document_id: UUID,
    number: PageNumber,
    caller: CurrentCaller,
    width: Annotated[int | None, Query(ge=64, le=4000, description="at least so wide, if the page is")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The image that the boxes refer to; with `width` a smaller one of the same proportions."""
    with transaction() as session:
        document = visible_document(session, document_id, caller)
        page = page_listing.list_pages(session, document_id, limit=1, after=number - 1, text_only=True)
        dpi = page[0].dpi if page and page[0].number == number else None
    images = PageImages(get_settings(), get_store())
    found = images.find(document, number, dpi, width)
    headers = {"ETag": found.etag, "Cache-Control": "private, max-age=31536000, immutable"}
    if if_none_match == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.read(), media_type="image/jpeg", headers=headers)


@router.get("/search", summary="Find a text")
def search(
    document_id: UUID,
    caller: CurrentCaller,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: _After = 0,
) -> FoundList:
    """Lines that contain a text, whatever their case and accents, with all lines of the last page that is searched."""
    with transaction() as session:
        visible_document(session, document_id, caller)
        matches = page_listing.search(session, document_id, q, after=after)
        found = list(islice(matches, limit))
        following = next(matches, None)
        while following is not None and following.page_number == found[-1].page_number:
            found.append(following)
            following = next(matches, None)
    items = [Found(page_number=each.page_number, line=each.line, text=each.text, box=each.box) for each in found]
    return FoundList(items=items, next_cursor=str(items[-1].page_number) if following else None)
