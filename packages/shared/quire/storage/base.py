"""What every object store can do."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from quire.errors import TooLarge

CHUNK_BYTES = 1024 * 1024
# Keys of uploads begin with this: these objects are Quire's own and are deleted with their document.
UPLOADS = "uploads/"
# What the API makes from a document and keeps beside it: a folder for each.
DERIVED = "derived/"
# Results that are too large for a message, of workers without a database.
RESULTS = "results/"


@dataclass(frozen=True)
class StoredObject:
    """What is known about an object without reading it. `size` is in bytes."""

    bucket: str
    key: str
    size: int


class ObjectStore(Protocol):
    """Objects by bucket and key. Content goes from and to disk in chunks, never whole through memory.

    Every method raises `StorageAccessDenied` and `StorageUnreachable`; those that read raise `ObjectNotFound`.
    """

    def put(self, bucket: str, key: str, content: BinaryIO, content_type: str | None = None) -> None:
        """Store what can be read from `content`, replacing what was there; readers see the old or the new, whole."""

    def download(self, bucket: str, key: str, target: Path, max_bytes: int | None = None) -> int:
        """Write an object to the file `target`; return its size in bytes.

        Raises:
            TooLarge: it has more than `max_bytes`; nothing over the limit is transferred.
        """

    def head(self, bucket: str, key: str) -> StoredObject:
        """An object's size."""

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        """Remove every object whose key begins with `prefix`, which ends with a slash; none is no error."""

    def check(self, bucket: str) -> None:
        """Return if the bucket can be reached with these credentials."""


def is_quires_own(key: str) -> bool:
    """Whether a key leads to an object that Quire itself stored, in whatever way it is written.

    In a folder `a/../uploads/x` is `uploads/x`, and on some systems `Uploads/x` is, too.
    """
    folder = posixpath.normpath(f"/{key}").lstrip("/").partition("/")[0]
    return f"{folder.casefold()}/" in (UPLOADS, DERIVED)


def refuse_oversize(size: int, max_bytes: int | None) -> None:
    """Raise `TooLarge` if `size` bytes are more than `max_bytes`."""
    if max_bytes is not None and size > max_bytes:
        raise TooLarge(
            f"The file has {size:,} bytes, the limit is {max_bytes:,}. Send a smaller file, or raise QUIRE_MAX_BYTES."
        )
