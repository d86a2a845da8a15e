"""Objects as files below a folder: `<root>/<bucket>/<key>`."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from quire.errors import ObjectNotFound, StorageAccessDenied, StorageUnreachable
from quire.storage.base import CHUNK_BYTES, StoredObject, refuse_oversize


class FolderStore:
    """An `ObjectStore` for one machine: development, tests, and small installations."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()

    def put(self, bucket: str, key: str, content: BinaryIO, content_type: str | None = None) -> None:
        """See `ObjectStore.put`. The type is not kept: what an object is, is read from its bytes."""
        path = self._path(bucket, key)
        with _translated(bucket, key):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".put-")
            try:
                with os.fdopen(handle, "wb") as file:
                    shutil.copyfileobj(content, file, CHUNK_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def download(self, bucket: str, key: str, target: Path, max_bytes: int | None = None) -> int:
        """See `ObjectStore.download`."""
        path = self._path(bucket, key)
        with _translated(bucket, key):
            size = path.stat().st_size
            refuse_oversize(size, max_bytes)
            shutil.copyfile(path, target)
            return size

    def head(self, bucket: str, key: str) -> StoredObject:
        """See `ObjectStore.head`."""
        path = self._path(bucket, key)
        with _translated(bucket, key):
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError
            return StoredObject(bucket, key, status.st_size)

    def delete(self, bucket: str, key: str) -> None:
        """See `ObjectStore.delete`."""
        path = self._path(bucket, key)
        with suppress(ObjectNotFound), _translated(bucket, key):
            path.unlink()

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        """See `ObjectStore.delete_prefix`."""
        folder = self._path(bucket, prefix.removesuffix("/"))
        with suppress(ObjectNotFound), _translated(bucket, prefix):
            shutil.rmtree(folder)

    def check(self, bucket: str) -> None:
        """See `ObjectStore.check`. The folder is made where it is missing."""
        with _translated(bucket, ""):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.R_OK | os.W_OK):
                raise PermissionError

    def _path(self, bucket: str, key: str) -> Path:
        """The file of an object; a bucket or key that would lead out of its folder names nothing."""
        base = self.root / bucket
        path = Path(os.path.normpath(base / key))
        named = base.parent == self.root and base.name == bucket != ".." and _is_file_name(bucket + key)
        if not named or not path.is_relative_to(base) or path == base:
            raise ObjectNotFound(f"There is no object {key!r} in {bucket!r}.")
        return path


def _is_file_name(text: str) -> bool:
    """Whether the system can be asked for it: no NUL, and nothing that UTF-8 cannot write."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """Turn the file system's errors into storage errors."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ObjectNotFound(f"There is no object {key!r} in {bucket!r}.") from None
    except PermissionError:
        raise StorageAccessDenied(
            "The object folder may not be used by this user. Check the owner of QUIRE_OBJECT_DIR."
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ObjectNotFound(f"There is no object {key!r} in {bucket!r}.") from None
        raise StorageUnreachable(f"The object folder cannot be used: {error.strerror or error}.") from error
