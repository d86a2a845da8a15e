"""Images of pages, rendered when somebody wants to see them and kept beside the documents."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from quire.database.tables import Document
from quire.deletion import derived_prefix
from quire.errors import ObjectNotFound
from quire.pages.base import PageLimits
from quire.scratch import scratch_folder
from quire.settings import MIB, Settings
from quire.storage import ObjectStore
from quire_api.rendering import Rendering, renderers

# Asked for another width, the next larger of these is made: a few images of a page are kept, not one for each window.
WIDTHS: Final = (240, 480, 960, 1440, 1920, 2880, 4000)
_SOURCES_BYTES: Final = 512 * MIB


@dataclass(frozen=True)
class FoundImage:
    """An image that can be read. `etag` is the same for the same image."""

    etag: str
    images: PageImages
    document: Document
    number: int
    dpi: float
    width: int | None

    def read(self) -> bytes:
        """The JPEG."""
        return self.images.load(self)


@dataclass(frozen=True)
class PageImages:
    """Page images of the documents of a store."""

    settings: Settings
    store: ObjectStore

    def find(self, document: Document, number: int, dpi: float | None, width: int | None) -> FoundImage:
        """The image of a page at the resolution it was read at; nothing is made yet."""
        used = dpi or float(document.options.get("dpi") or self.settings.paddleocr_pdf_dpi)
        step = next((step for step in WIDTHS if width is not None and step >= width), None)
        # What decides the image besides the file, which never changes.
        return FoundImage(f'"{document.id}-{number}-{used:g}-{step or "own"}"', self, document, number, used, step)

    def load(self, image: FoundImage) -> bytes:
        """An image from the store, or a new one, which is kept there.

        Raises:
            PageOutOfRange, DocumentError: the document has no such page, or it cannot be rendered.
            StorageError: the document could not be fetched.
        """
        bucket = self.settings.default_bucket
        key = f"{derived_prefix(image.document.id)}page-{image.number}-{image.dpi:g}-{image.width or 'own'}.jpg"
        kept = self._read(bucket, key)
        if kept is not None:
            return kept
        limits = PageLimits.from_settings(self.settings)
        with sources().open(image.document, self.settings, self.store) as path:
            made = renderers().render(Rendering(path, image.number, image.dpi, image.width, limits))
        self.store.put(bucket, key, io.BytesIO(made), "image/jpeg")
        return made

    def _read(self, bucket: str, key: str) -> bytes | None:
        with TemporaryDirectory(prefix="quire-image-") as folder:
            target = Path(folder) / "image"
            try:
                self.store.download(bucket, key, target)
            except ObjectNotFound:
                return None
            return target.read_bytes()


@lru_cache(maxsize=1)
def sources() -> Sources:
    """This process's."""
    return Sources(_SOURCES_BYTES)


class Sources:
    """Documents on local disk, the ones used last: a viewer asks for one page after the other.

    At most `most_bytes` of those that nobody is using.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Source] = OrderedDict()

    @contextmanager
    def open(self, document: Document, settings: Settings, store: ObjectStore) -> Iterator[Path]:
        """The document's file, which stays there for as long as the block lasts."""
        with self._lock:
            source = self._kept.setdefault(str(document.id), _Source())
            self._kept.move_to_end(str(document.id))
            source.users += 1
        try:
            yield source.fetched(document, settings, store)
        finally:
            with self._lock:
                source.users -= 1
                self._evict()

    def _evict(self) -> None:
        total = sum(source.size for source in self._kept.values())
        for name, source in list(self._kept.items()):
            if total <= self._most_bytes:
                return
            if not source.users:
                total -= source.size
                source.drop()
                del self._kept[name]


class _Source:
    def __init__(self) -> None:
        self.users = 0
        self.size = 0
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._folder: AbstractContextManager[Path] | None = None

    def fetched(self, document: Document, settings: Settings, store: ObjectStore) -> Path:
        with self._lock:
            if self._path is None:
                self._folder = scratch_folder(settings)
                path = self._folder.__enter__() / "source"
                self.size = store.download(document.bucket, document.source_key, path, settings.quire_max_bytes)
                self._path = path
            return self._path

    def drop(self) -> None:
        if self._folder is not None:
            self._folder.__exit__(None, None, None)
