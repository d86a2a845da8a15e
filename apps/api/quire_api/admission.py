"""A large request is not taken from somebody who will be refused: files of strangers would fill the disk."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from quire.errors import QuireError
from quire_api import problems
from quire_api.caller import recognized_caller

# Up to here a body stays in memory, and is gone with the refusal that its route gives.
_SMALL_BYTES: Final = 64 * 1024


class Admission:
    """ASGI middleware: asks who is calling before a large body, or one of unknown length, is read.

    FastAPI reads a body first and asks then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer as its route would."""
        if scope["type"] == "http" and _has_large_body(Headers(scope=scope)):
            try:
                await recognized_caller(Request(scope))
            except QuireError as error:
                await problems.answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _has_large_body(headers: Headers) -> bool:
    announced = headers.get("Content-Length", "0")
    return "Transfer-Encoding" in headers or not announced.isdigit() or int(announced) > _SMALL_BYTES
