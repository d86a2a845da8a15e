"""Images of pages, rendered when somebody wants to see them and kept beside the documents."""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from quire.database.tables import Document
from quire.deletion import derived_prefix
from quire.errors import ObjectNotFound, StorageError
from quire.pages.base import PageLimits
from quire.scratch import scratch_folder
from quire.settings import MIB, Settings
from quire.storage import ObjectStore
from quire_api.page_failures import page_failures
from quire_api.rendering import Rendering, renderers

logger = logging.getLogger(__name__)

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

    @property
    def key(self) -> str:
        """Where it is kept in the default bucket."""
        name = f"page-{self.number}-{self.dpi:g}-{self.width or 'own'}.jpg"
        return derived_prefix(self.document.id) + name

    def kept(self) -> bytes | None:
        """The JPEG from the store, or None if it has not been made.

        Raises:
            StorageError: the store did not say.
        """
        return self.images.read(self)

    def made(self, is_there: Callable[[], bool]) -> bytes:
        """A new JPEG, kept in the store unless the document is gone meanwhile (`is_there`).

        Raises:
            QuireError: what `render_jpeg` raises, or the document's file could not be fetched.
        """
        return self.images.make(self, is_there)


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

    def read(self, image: FoundImage) -> bytes | None:
        """See `FoundImage.kept`."""
        with TemporaryDirectory(prefix="quire-image-") as folder:
            target = Path(folder) / "image"
            try:
                self.store.download(self.settings.default_bucket, image.key, target)
            except ObjectNotFound:
                return None
            return target.read_bytes()

    def make(self, image: FoundImage, is_there: Callable[[], bool]) -> bytes:
        """See `FoundImage.made`."""
        limits = PageLimits.from_settings(self.settings)
        page = (image.document.id, image.number, image.dpi)
        with (
            page_failures().remembered(page),
            sources().open(image.document, self.settings, self.store) as path,
        ):
            made = renderers().render(Rendering(path, image.number, image.dpi, image.width, limits))
        self._keep(image, made, is_there)
        return made

    def _keep(self, image: FoundImage, content: bytes, is_there: Callable[[], bool]) -> None:
        """Without the image in the store the next who asks waits for a new one, and that is all."""
        bucket = self.settings.default_bucket
        try:
            self.store.put(bucket, image.key, io.BytesIO(content), "image/jpeg")
            # Asked afterwards: an image that comes too late for the deletion of its document would stay for ever.
            if not is_there():
                self.store.delete_prefix(bucket, derived_prefix(image.document.id))
        except StorageError as error:
            logger.warning("the image of a page of document %s is not kept: %s", image.document.id, error.message)


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

    def __len__(self) -> int:
        """How many documents are known, whether or not they have been fetched yet."""
        return len(self._kept)

    def _evict(self) -> None:
        total = sum(source.size for source in self._kept.values())
        for name, source in list(self._kept.items()):
            if not source.users and (total > self._most_bytes or not source.is_fetched):
                total -= source.size
                source.drop()
                del self._kept[name]


class _Source:
    def __init__(self) -> None:
        self.users = 0
        self.size = 0
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._folder = ExitStack()

    @property
    def is_fetched(self) -> bool:
        return self._path is not None

    def fetched(self, document: Document, settings: Settings, store: ObjectStore) -> Path:
        with self._lock:
            if self._path is None:
                with ExitStack() as stack:
                    path = stack.enter_context(scratch_folder(settings)) / "source"
                    self.size = store.download(document.bucket, document.source_key, path, settings.quire_max_bytes)
                    self._folder = stack.pop_all()
                self._path = path
            return self._path

    def drop(self) -> None:
        self._folder.close()
