"""Every request: an id that its log lines and its answer carry, one line in the log, one span."""

from __future__ import annotations

import logging
import re
import time
from typing import Final
from uuid import uuid4

from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quire.telemetry import tracing
from quire.telemetry.context import bound

logger = logging.getLogger(__name__)

_HEADER: Final = "X-Request-ID"
# What a proxy or a client may send as an id; anything else is replaced.
_USABLE: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
# Asked all the time by machines.
_PROBES: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})


class Observed:
    """ASGI middleware, the outermost one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(_HEADER, "")
        request_id = given if _USABLE.fullmatch(given) else uuid4().hex
        status, begun = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[_HEADER] = request_id
            await send(message)

        if scope["path"] in _PROBES:
            await self._app(scope, receive, noted)
            return
        with (
            bound(request=request_id),
            tracing.span(scope["method"], parent=headers.get("traceparent"), kind=SpanKind.SERVER) as span,
        ):
            try:
                await self._app(scope, receive, noted)
            finally:
                _describe(span, scope, status)
                # Without the query string: people search for text in it.
                logger.info(
                    "%s %s %d %.0f ms",
                    scope["method"],
                    scope["path"],
                    status,
                    (time.perf_counter() - begun) * 1000,
                )


def _describe(span: Span, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.request.method", scope["method"])
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
