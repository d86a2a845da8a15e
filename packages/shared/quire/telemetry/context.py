"""Which request and which document the current work is for: every log line of it says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

request_id: Final[ContextVar[str | None]] = ContextVar("quire_request_id", default=None)
document_id: Final[ContextVar[str | None]] = ContextVar("quire_document_id", default=None)


@contextmanager
def bound(*, request: str | None = None, document: UUID | None = None) -> Iterator[None]:
    """Log lines of the block carry these ids; what is left out stays as it is."""
    tokens = []
    if request is not None:
        tokens.append((request_id, request_id.set(request)))
    if document is not None:
        tokens.append((document_id, document_id.set(str(document))))
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)
