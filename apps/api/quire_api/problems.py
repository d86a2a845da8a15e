"""Errors as problem details (RFC 9457): one body for every refusal, with Quire's stable code in it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from quire.errors import QuireError, TooMuch, Unauthorized

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final = {
    "invalid_payload": HTTPStatus.UNPROCESSABLE_ENTITY,
    "document_not_found": HTTPStatus.NOT_FOUND,
    "job_not_found": HTTPStatus.NOT_FOUND,
    "job_expired": HTTPStatus.NOT_FOUND,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "quota_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "already_ended": HTTPStatus.CONFLICT,
    "nothing_failed": HTTPStatus.CONFLICT,
    "not_finished": HTTPStatus.CONFLICT,
    "idempotency_conflict": HTTPStatus.CONFLICT,
    "address_not_allowed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "fetch_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "job_cancelled": HTTPStatus.CONFLICT,
    "object_not_found": HTTPStatus.NOT_FOUND,
    "webhook_not_found": HTTPStatus.NOT_FOUND,
    "artifact_not_found": HTTPStatus.NOT_FOUND,
    "artifact_busy": HTTPStatus.CONFLICT,
    "bucket_not_allowed": HTTPStatus.FORBIDDEN,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_pages": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "encrypted": HTTPStatus.UNPROCESSABLE_ENTITY,
    "corrupt": HTTPStatus.UNPROCESSABLE_ENTITY,
    "empty": HTTPStatus.UNPROCESSABLE_ENTITY,
    "page_out_of_range": HTTPStatus.UNPROCESSABLE_ENTITY,
    "timeout": HTTPStatus.UNPROCESSABLE_ENTITY,
    "out_of_memory": HTTPStatus.UNPROCESSABLE_ENTITY,
    "storage_access_denied": HTTPStatus.BAD_GATEWAY,
    "storage_unreachable": HTTPStatus.SERVICE_UNAVAILABLE,
    "database_unreachable": HTTPStatus.SERVICE_UNAVAILABLE,
    "broker_unreachable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(BaseModel):
    """Body of every answer with a status from 400."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Conflict",
                    "status": 409,
                    "code": "not_finished",
                    "detail": "The document is still being read. Wait until it has ended, or ask for partial=true.",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int
    code: str = Field(description="Stable; see the table of codes in the README.")
    detail: str = Field(description="What is wrong and what to do, for people.")


def install(app: FastAPI) -> None:
    """Answer typed errors, refused requests and unknown routes with a problem."""
    app.add_exception_handler(QuireError, _on_quire_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    # Starlette logs the traceback after this has answered.
    app.add_exception_handler(Exception, _on_unexpected_error)


async def _on_quire_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QuireError)
    answered = answer(error)
    if answered.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s %s: %s: %s", request.method, request.url.path, error.code, error.message)
    return answered


def _headers(error: QuireError) -> dict[str, str] | None:
    if isinstance(error, TooMuch):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "5"} if error.retryable else None


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without the input: it may be a whole document.
    details = "; ".join(f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", details)


async def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = "too_large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.name.lower()
    return problem(status, code, str(error.detail), dict(error.headers or {}))


async def _on_unexpected_error(_request: Request, _error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "An error in Quire; the API's log has the details.")


def answer(error: QuireError) -> JSONResponse:
    """A typed error as a response."""
    status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return problem(status, error.code, error.message, _headers(error))


def problem(status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    body = Problem(title=status.phrase, status=status, code=code, detail=detail)
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)
