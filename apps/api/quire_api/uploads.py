"""Uploads: limited while they arrive, stored before anything is queued."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final
from uuid import UUID, uuid4

from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quire import media_types
from quire.contracts import OcrOptions, Priority, StudyRequest
from quire.database import documents
from quire.database.documents import NewDocument
from quire.database.engine import answered_within, statements
from quire.errors import StorageError
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import CHUNK_BYTES, UPLOADS, refuse_oversize
from quire_api.idempotency import AcceptedDocument, RequestKey, submit_once

# What a multipart body has besides the file: boundaries, headers, small fields.
_FORM_OVERHEAD: Final = 64 * 1024
# Where files are sent to. What is sent elsewhere is JSON, which is in memory as a whole.
_TAKES_FILES: Final = frozenset({"/api/v1/documents", "/api/v1/ocr/process"})
_JSON_BYTES: Final = 1024 * 1024
_LONGEST_NAME: Final = 255
# Postgres that has answered so recently is taken to be there still.
_ANSWERS_SECONDS: Final = 0.5
_PING: Final = text("SELECT 1")


class UploadLimit:
    """ASGI middleware: refuses a body over the limit by its announced length, or when it grows past it."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes + _FORM_OVERHEAD

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that counts."""
        received, takes_file = 0, scope.get("path") in _TAKES_FILES
        limit = self._max_bytes if takes_file else _JSON_BYTES

        async def counted() -> Message:
            nonlocal received
            if scope["type"] == "http" and _announced(scope) > limit:
                raise self._too_large(takes_file)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise self._too_large(takes_file)
            return message

        await self._app(scope, counted, send)

    def _too_large(self, takes_file: bool) -> HTTPException:
        if not takes_file:
            return HTTPException(413, f"The request is over the limit of {_JSON_BYTES:,} bytes.")
        limit = self._max_bytes - _FORM_OVERHEAD
        return HTTPException(
            413, f"The file is over the limit of {limit:,} bytes. Send a smaller one, or raise QUIRE_MAX_BYTES."
        )


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


@dataclass(frozen=True)
class StoredUpload:
    """An upload whose file is in the store; or the document that the same request got `earlier`, and then it is not."""

    new: NewDocument
    request_key: RequestKey | None = None
    earlier: UUID | None = None


def store_upload(
    content: BinaryIO,
    filename: str | None,
    options: OcrOptions,
    settings: Settings,
    store: ObjectStore,
    *,
    owner: str = "",
    priority: Priority = "interactive",
    follow_ups: Sequence[StudyRequest] = (),
    request_key: RequestKey | None = None,
) -> StoredUpload:
    """Put an upload into the store. For `owner` and `priority` see `NewDocument`.

    Nothing is stored where `request_key` was used for the same request.

    Raises:
        Empty, UnsupportedMediaType, TooLarge, IdempotencyConflict: it is refused.
        StorageError, DatabaseUnreachable: it could not be accepted.
    """
    media_type = media_types.sniff(content.read(media_types.SNIFF_BYTES))
    size, digest = _measure(content)
    refuse_oversize(size, settings.quire_max_bytes)
    document_id = uuid4()
    new = NewDocument(
        id=document_id,
        bucket=settings.default_bucket,
        source_key=f"{UPLOADS}{document_id}",
        options=options,
        filename=_clean(filename),
        media_type=media_type,
        source_bytes=size,
        source_sha256=digest,
        owner=owner,
        priority=priority,
        follow_ups=follow_ups,
    )
    earlier = request_key.earlier() if request_key else None
    if earlier is None:
        _require_database()
        content.seek(0)
        store.put(new.bucket, new.source_key, content, media_type)
    return StoredUpload(new, request_key, earlier)


def submit_upload(stored: StoredUpload, store: ObjectStore) -> AcceptedDocument:
    """Submit a stored upload as a document. Its file is deleted where that is refused.

    Raises:
        IdempotencyConflict: the key of the request was used for another one meanwhile.
        DatabaseUnreachable: it could not be accepted.
    """
    if stored.earlier is not None:
        return AcceptedDocument(stored.earlier)
    new = stored.new
    try:
        submitted = submit_once(new, stored.request_key)
    except Exception:
        # The answer to a commit can be lost. Where Postgres does not say, the file stays: the document may be there.
        if _accepted(new.id):
            return AcceptedDocument(new.id)
        # Nobody will ask for it: the caller gets no id.
        _delete(store, new)
        raise
    if submitted.id != new.id:
        _delete(store, new)
    return submitted


def _require_database() -> None:
    """Nothing is stored that cannot be accepted: with Postgres away it would only have to be deleted again.

    Raises:
        DatabaseUnreachable: it does not answer.
    """
    if not answered_within(_ANSWERS_SECONDS):
        with statements() as session:
            session.execute(_PING)


def _delete(store: ObjectStore, new: NewDocument) -> None:
    with suppress(StorageError):
        store.delete(new.bucket, new.source_key)


def _accepted(document_id: UUID) -> UUID | None:
    """The id of a document that is there, or None.

    Raises:
        DatabaseUnreachable: Postgres does not say.
    """
    with statements() as session:
        return document_id if documents.exists(session, document_id) else None


def _clean(filename: str | None) -> str | None:
    """A file's name as it can be stored and shown: what is not printed is left out."""
    printed = "".join(character for character in filename or "" if character.isprintable())
    return printed[:_LONGEST_NAME] or None


def digest_of(content: BinaryIO) -> str:
    """SHA-256 of everything in `content` as hex; it is at its start then."""
    _, digest = _measure(content)
    content.seek(0)
    return digest


def _measure(content: BinaryIO) -> tuple[int, str]:
    """Size in bytes and SHA-256 of everything in `content`."""
    content.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
