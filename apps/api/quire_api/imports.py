"""Documents that are somewhere already: in the store, or at an address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from quire.contracts import OcrOptions, Priority, StudyRequest
from quire.database.documents import NewDocument
from quire.errors import ObjectNotFound
from quire.outbound import fetch_to
from quire.scratch import scratch_folder
from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import is_quires_own, refuse_oversize
from quire_api.idempotency import AcceptedDocument, RequestKey, submit_once
from quire_api.uploads import store_upload, submit_upload


def accept_object(
    key: str,
    bucket: str | None,
    options: OcrOptions,
    settings: Settings,
    store: ObjectStore,
    *,
    owner: str,
    priority: Priority,
    follow_ups: Sequence[StudyRequest] = (),
    may_name_uploads: bool,
    request_key: RequestKey | None,
) -> AcceptedDocument:
    """Submit an object that is in the store, where it stays.

    Uploads, and what was made from documents, may be named only where all of them are the caller's.

    Raises:
        ObjectNotFound, TooLarge, BucketNotAllowed, IdempotencyConflict: it is refused.
        StorageError, DatabaseUnreachable: it could not be accepted.
    """
    if is_quires_own(key) and not may_name_uploads:
        raise ObjectNotFound("What was uploaded cannot be named by its key. Upload the file again.")
    readable = settings.readable_bucket(bucket)
    earlier = request_key and request_key.earlier()
    if earlier:
        return AcceptedDocument(earlier)
    found = store.head(readable, key)
    refuse_oversize(found.size, settings.quire_max_bytes)
    new = NewDocument(
        id=uuid4(),
        bucket=readable,
        source_key=key,
        options=options,
        filename=PurePosixPath(key).name,
        source_bytes=found.size,
        owner=owner,
        priority=priority,
        follow_ups=follow_ups,
    )
    return submit_once(new, request_key)


def accept_url(
    url: str,
    options: OcrOptions,
    settings: Settings,
    store: ObjectStore,
    *,
    owner: str,
    priority: Priority,
    follow_ups: Sequence[StudyRequest] = (),
    request_key: RequestKey | None,
) -> AcceptedDocument:
    """Fetch what is at a URL and accept it as an upload.

    Raises:
        AddressNotAllowed, FetchFailed, TooLarge: it was not fetched.
        Empty, UnsupportedMediaType, IdempotencyConflict: it is refused.
        StorageError, DatabaseUnreachable: it could not be accepted.
    """
    earlier = request_key and request_key.earlier()
    if earlier:
        return AcceptedDocument(earlier)
    with scratch_folder(settings) as folder:
        target = folder / "fetched"
        fetch_to(url, target, settings.quire_max_bytes, settings)
        with target.open("rb") as content:
            name = PurePosixPath(unquote(urlsplit(url).path)).name
            stored = store_upload(
                content,
                name,
                options,
                settings,
                store,
                owner=owner,
                priority=priority,
                follow_ups=follow_ups,
                request_key=request_key,
            )
        return submit_upload(stored, store)
