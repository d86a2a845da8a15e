"""The OpenAPI document says what is really answered: every refusal is a problem, of its own media type."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from quire_api import problems

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
# What FastAPI describes for requests that it refuses; here they are problems as well.
_UNUSED = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Have `app` describe itself so."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    response["content"] = {problems.MEDIA_TYPE: {"schema": _PROBLEM}}
    for name in _UNUSED:
        document["components"]["schemas"].pop(name, None)
    return document
