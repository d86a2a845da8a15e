"""Pages of a document: their text and boxes, their images, and where a text is."""

from __future__ import annotations

from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from quire.contracts import Box, Text
from quire.database import page_listing, retention
from quire.database.engine import transaction
from quire.errors import PageOutOfRange
from quire.settings import get_settings
from quire.storage import get_store
from quire_api.block_images import BlockPlace, cut_out, find_block, kept_picture
from quire_api.caller import Caller, CurrentCaller
from quire_api.document_view import PageStatus, PageView, page_view
from quire_api.own_threads import IMAGES
from quire_api.page_images import FoundImage, PageImages
from quire_api.routers.documents import NOT_FOUND
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/documents/{document_id}", tags=["pages"], responses=NOT_FOUND)

# Page numbers of Postgres' integer type.
PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
_After = Annotated[int, Query(alias="cursor", ge=0, le=2**31 - 1, description="next_cursor of the answer before")]
_IMAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "`If-None-Match` names this image"},
}
_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
_FINAL: Final = "private, max-age=31536000, immutable"
_ASK_FIRST: Final = "private, no-cache"


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
    text_only: Annotated[bool, Query(description="leave out everything that has places")] = False,
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


@router.get("/pages/{number}/image", summary="The image of a page", response_class=Response, responses=_IMAGE)
async def get_image(
    document_id: UUID,
    number: PageNumber,
    caller: CurrentCaller,
    width: Annotated[int | None, Query(ge=64, le=4000, description="at least so wide, if the page is")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The image that the boxes refer to; with `width` a smaller one of the same proportions."""
    image, is_final = await run_in_threadpool(_find_image, document_id, number, caller, width)
    headers = {"ETag": image.etag, "Cache-Control": _FINAL if is_final else _ASK_FIRST}
    if _is_known(image.etag, if_none_match):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = await run_in_threadpool(image.kept)
    if content is None:
        content = await IMAGES.run(image.made, lambda: _is_there(document_id))
    return Response(content, media_type="image/jpeg", headers=headers)


def _find_image(document_id: UUID, number: int, caller: Caller, width: int | None) -> tuple[FoundImage, bool]:
    """An image, and whether it is the one for ever: the resolution of a page is known when it has been read."""
    with transaction() as session:
        document = visible_document(session, document_id, caller)
        page = page_listing.list_pages(session, document_id, limit=1, after=number - 1, text_only=True)
        read = page[0] if page and page[0].number == number and page[0].status == "done" else None
    dpi = read.dpi if read else None
    return PageImages(get_settings(), get_store()).find(document, number, dpi, width), read is not None


@router.get(
    "/pages/{number}/blocks/{block}/image",
    summary="The picture of a block",
    response_class=Response,
    responses=_PICTURE,
)
async def get_block_image(
    document_id: UUID,
    number: PageNumber,
    block: Annotated[int, Path(ge=0, le=2**31 - 1, description="its index among the page's blocks, from 0")],
    caller: CurrentCaller,
) -> Response:
    """A figure, chart or seal as it was cut out of the page; any other block as it is on the page's image."""
    place, image = await run_in_threadpool(_find_block, document_id, number, block, caller)
    content = await run_in_threadpool(kept_picture, place, get_settings(), get_store())
    if content is None:
        page = await run_in_threadpool(image.kept)
        if page is None:
            page = await IMAGES.run(image.made, lambda: _is_there(document_id))
        content = await IMAGES.run(cut_out, place, page)
    return Response(content, media_type="image/png", headers={"Cache-Control": _FINAL})


def _find_block(document_id: UUID, number: int, index: int, caller: Caller) -> tuple[BlockPlace, FoundImage]:
    with transaction() as session:
        document = visible_document(session, document_id, caller)
        page = page_listing.get_page(session, document_id, number)
        place = find_block(document, page, number, index)
        dpi = page.dpi if page else None
    return place, PageImages(get_settings(), get_store()).find(document, number, dpi, None)


def _is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether a client has it already (RFC 9110, 13.1.2)."""
    known = {each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")}
    return etag in known


def _is_there(document_id: UUID) -> bool:
    with transaction() as session:
        return retention.hold_against_deletion(session, document_id)


@router.get("/search", summary="Find a text")
def search(
    document_id: UUID,
    caller: CurrentCaller,
    q: Annotated[Text, Query(min_length=1, max_length=200)],
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
