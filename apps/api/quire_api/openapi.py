"""The OpenAPI document says what is really answered: every refusal is a problem, of its own media type."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from quire_api import problems
from quire_api.examples import DOCUMENT_EXAMPLE, PAGE_EXAMPLE

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_TAGS = {
    "documents": "Sent in, listed, watched, cancelled, read again, deleted.",
    "pages": "Text and boxes page by page, the images that boxes refer to, and where a text is.",
    "exports": "A document's text in the forms that other programs read.",
    "study aids": "Summaries, flashcards and quizzes made from a document's text.",
    "jobs": "Submit a stored object, ask for its result: two calls that need nothing but an id in between.",
    "ocr": "Upload and poll: the two oldest calls, which stay as they are.",
    "webhooks": "Messages to your own server when a document has ended.",
    "keys": "Who is calling.",
    "health": "Whether this process lives and can do its work.",
    "operating": "What a monitoring system reads.",
}
# Of parameters that say nothing about themselves: they mean the same everywhere.
_PARAMETERS = {
    "document_id": "The `id` of a document",
    "task_id": "The `task_id` of the answer to `POST /api/v1/ocr/process`",
    "call_id": "The `call_id` of the answer to `POST /api/v1/submit`",
    "artifact_id": "The `id` of a study aid",
    "endpoint_id": "The `id` of an endpoint",
    "delivery_id": "The `id` of a message",
    "number": "The number of a page in its file, from 1",
    "format": "What the file is to be",
    "limit": "At most so many items",
    "cursor": "`next_cursor` of the answer before",
    "status": "Only those with this status",
    "created_before": "UTC where no offset is given",
    "q": "The text to find",
    "if-none-match": "The `ETag` of an image that is there already",
    "last-event-id": "The `id` of the last event that arrived",
}
# Put in at the end: FastAPI would leave out what is null in them.
_EXAMPLES = {"DocumentView": DOCUMENT_EXAMPLE, "PageView": PAGE_EXAMPLE}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key: `qk_…`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same in another header"},
}
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
    tags = [{"name": name, "description": description} for name, description in _TAGS.items()]
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=tags)
    document["components"]["securitySchemes"] = _KEYS
    # The last one is none, for QUIRE_AUTH=off.
    document["security"] = [{"bearer": []}, {"header": []}, {}]
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    for name, example in _EXAMPLES.items():
        document["components"]["schemas"][name]["examples"] = [example]
    for name in _UNUSED:
        document["components"]["schemas"].pop(name, None)
    return document


def _complete(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if status[0] in "45":
            response["content"] = {problems.MEDIA_TYPE: {"schema": _PROBLEM}}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in _PARAMETERS:
            parameter.setdefault("description", _PARAMETERS[parameter["name"]])
