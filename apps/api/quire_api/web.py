"""The viewer: the built bundle of `apps/api/web`, served beside the API."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response

_BUNDLE: Final = Path(__file__).resolve().parents[1] / "web" / "dist"

_NOT_BUILT: Final = """\
This is the Quire API. Its viewer has not been built yet.

Build it in the folder of Quire:   make web
and load this page again. It needs npm; the API itself is there without it: /docs
"""

# Scripts and styles come from files only; images of pages also from memory, where they were fetched with a key.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
# Kept, but asked about each time: a new build is seen at once.
_ASK_FIRST: Final = "no-cache"


def install(app: FastAPI, bundle: Path = _BUNDLE) -> None:
    """Serve the viewer at `/` and `/documents/…`, its files at `/assets`. Call it after the routers: they go first.

    `bundle` is the folder that `make web` fills; while it is not there, the pages say how to build it.
    """

    def page() -> Response:
        index = bundle / "index.html"
        if not index.is_file():
            return PlainTextResponse(
                _NOT_BUILT, HTTPStatus.SERVICE_UNAVAILABLE, _HEADERS | {"Cache-Control": "no-store"}
            )
        return FileResponse(index, headers=_HEADERS | {"Cache-Control": _ASK_FIRST})

    def asset(name: str) -> Response:
        return _file(bundle / "assets", name, _FOR_A_YEAR)

    def script() -> Response:
        return _file(bundle, "theme.js", _ASK_FIRST)

    def icon() -> Response:
        return _file(bundle, "favicon.svg", _ASK_FIRST)

    routes: dict[str, Callable[..., Response]] = {
        "/": page,
        "/documents": page,
        "/documents/{document_id}": page,
        "/assets/{name}": asset,
        "/theme.js": script,
        "/favicon.svg": icon,
    }
    for path, answer in routes.items():
        app.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)


def _file(folder: Path, name: str, cache: str) -> Response:
    """The file of that name right in the folder, or 404."""
    # The name comes from outside: nothing but a name may be in it.
    if Path(name).name != name or not (folder / name).is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "The viewer has no such file.")
    return FileResponse(folder / name, headers=_HEADERS | {"Cache-Control": cache})
