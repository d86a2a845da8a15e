"""Progress of a document as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Final, TypedDict
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from quire.database.engine import get_engine, transaction
from quire.database.listener import listener_of
from quire.errors import Forbidden, QuireError, Unauthorized
from quire_api.caller import CurrentCaller, recognized_caller
from quire_api.document_look import look_at
from quire_api.ending import at_end_of_process
from quire_api.progress import ENDED, HEARTBEAT, Snapshot, Told
from quire_api.visible import visible_document
from quire_api.watching import Watches

_HEARTBEAT_SECONDS: Final = 15.0
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # nginx then passes on what it gets at once.
    "X-Accel-Buffering": "no",
}


class EventStream(StreamingResponse):
    """Server-sent events that are bytes already."""

    # FastAPI's own class would encode them once more for each stream.
    media_type = "text/event-stream"


class State(TypedDict):
    """What a request finds in `request.state`."""

    watches: Watches


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[State]:
    watches = Watches(lambda: listener_of(get_engine()), look_at)
    with at_end_of_process(watches.close):
        yield {"watches": watches}


router = APIRouter(prefix="/api/v1/documents", tags=["documents"], lifespan=_lifespan)


def watched_document(document_id: UUID, caller: CurrentCaller) -> UUID:
    """The id of a document that the caller may see.

    Raises:
        DocumentNotFound: there is none.
    """
    with transaction() as session:
        return visible_document(session, document_id, caller).id


@router.get(
    "/{document_id}/events",
    response_class=EventStream,
    responses={204: {"description": "There is nothing left to tell."}},
)
async def document_events(
    request: Request,
    document_id: Annotated[UUID, Depends(watched_document)],
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events until the document has ended: `document`, `page` and `end`.

    `document` has the document as `GET /documents/{id}` gives it: at the beginning, and whenever it has changed. `page`
    is sent once for each page that is done or has failed. After `end` the stream is closed. A client that sends the id
    of the last event it got as `Last-Event-ID` gets the pages it has not had yet, those alone.
    """
    told = Told.from_id(last_event_id)
    if told.status in ENDED and told.knows_end_of(await run_in_threadpool(look_at, document_id, None)):
        # Ends an EventSource, which would connect again and again.
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return EventStream(_stream(request, document_id, told), headers=_HEADERS)


async def _stream(request: Request, document_id: UUID, told: Told) -> AsyncIterator[bytes]:
    known: Snapshot | None = None
    watches: Watches = request.state.watches
    checked = monotonic()
    async with watches.watching(document_id) as watch:
        while True:
            if monotonic() - checked >= _HEARTBEAT_SECONDS:
                if await _is_shut_out(request):
                    return
                checked = monotonic()
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    known = await watch.next(known)
            except TimeoutError:
                yield HEARTBEAT
                continue
            if known is None:
                return
            for encoded, after in watch.events(told, known):
                yield encoded
                told = after
            if known.has_ended:
                return


async def _is_shut_out(request: Request) -> bool:
    """Whether the key of a stream that has long been open was revoked or has expired."""
    try:
        await recognized_caller(request)
    except (Unauthorized, Forbidden):
        return True
    except QuireError:
        # Postgres does not say. What is streamed comes from there, too.
        return False
    return False
