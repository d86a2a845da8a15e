"""A document's text in the forms that other programs read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from quire.database.engine import transaction
from quire.database.tables import Document
from quire.errors import InvalidPayload, NotFinished
from quire.exports.formats import FORMATS
from quire.settings import get_settings
from quire.storage import get_store
from quire.storage.base import CHUNK_BYTES
from quire_api import problems
from quire_api.caller import Caller, CurrentCaller
from quire_api.exporting import Export
from quire_api.own_threads import EXPORTS
from quire_api.routers.documents import NOT_FOUND
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/documents/{document_id}", tags=["exports"], responses=NOT_FOUND)

Format = Literal[
    "txt", "json", "md", "tables-html", "tables-csv", "tables-xlsx", "hocr", "alto", "pdf", "overlay"
]  # fmt: skip
_UNFINISHED: Final = ("queued", "running")
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {each.media_type.partition(";")[0]: _BINARY for each in FORMATS.values()}},
    409: {"description": "`not_finished`", "model": problems.Problem},
}


@router.get("/export/{format}", response_class=StreamingResponse, responses=_RESPONSES, summary="Export a document")
async def export(
    document_id: UUID,
    format: Format,  # noqa: A002  it is the name in the address
    caller: CurrentCaller,
    page: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="this page alone; overlay needs it")] = None,
    partial: Annotated[bool, Query(description="what there is, of a document that is still being read")] = False,
) -> StreamingResponse:
    """Text, JSON, Markdown, the tables alone, hOCR, ALTO, a searchable PDF, or the boxes over a page's image."""
    document = await run_in_threadpool(_visible, document_id, caller)
    if document.status in _UNFINISHED and not partial:
        raise NotFinished("The document is still being read. Wait until it has ended, or ask for partial=true.")
    if page is None and FORMATS[format].one_page:
        raise InvalidPayload(f"page: the format {format} is of one page. Say which.")
    made = Export(document, format, page, get_settings(), get_store())
    stack = ExitStack()
    # Before the answer begins: what goes wrong is then an answer of its own.
    written = await EXPORTS.run(stack.enter_context, made.written())

    def content() -> Iterator[bytes]:
        with stack, written.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    headers = {
        "Content-Disposition": _attachment(made.filename),
        "Content-Length": str(written.stat().st_size),
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(content(), HTTPStatus.OK, headers, FORMATS[format].media_type)


def _attachment(filename: str) -> str:
    """The file's name (RFC 6266), and in ASCII for those, such as curl, that know no other."""
    plain = "".join(each if each.isascii() and each not in '"\\' else "_" for each in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _visible(document_id: UUID, caller: Caller) -> Document:
    with transaction() as session:
        return visible_document(session, document_id, caller)
