"""Documents fetched from object storage to a temporary file, and which of their pages are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flow.source_cache import SourceCache
from quire import media_types
from quire.contracts import OcrOptions
from quire.page_ranges import select_pages
from quire.pages import PageLimits, PageSource, open_source
from quire.scratch import scratch_folder
from quire.settings import Settings
from quire.storage import ObjectStore


@dataclass(frozen=True)
class FetchedFile:
    """An object on local disk, for as long as the `with` block lasts. `size` is in bytes."""

    path: Path
    size: int

    def sha256(self) -> str:
        """Hex digest of the content."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def fetched(
    store: ObjectStore, bucket: str, key: str, settings: Settings, *, digest: str | None = None
) -> Iterator[FetchedFile]:
    """Download an object to a temporary file, or take it from where an earlier turn left it.

    `digest` is its SHA-256, where it has been read before.

    Raises:
        ObjectNotFound, StorageAccessDenied, StorageUnreachable: see `ObjectStore`.
        TooLarge: it has more than `QUIRE_MAX_BYTES` bytes.
    """
    with scratch_folder(settings) as folder:
        path = folder / "source"
        cache = SourceCache.of(settings)
        cache.remove_old()
        if digest is not None and cache.take(digest, path):
            yield FetchedFile(path, path.stat().st_size)
        else:
            yield FetchedFile(path, store.download(bucket, key, path, settings.quire_max_bytes))


@contextmanager
def opened(file: FetchedFile, settings: Settings) -> Iterator[PageSource]:
    """Open a fetched file as a document; see `open_source` for what it raises."""
    with open_source(file.path, PageLimits.from_settings(settings)) as source:
        yield source


def wanted_pages(source: PageSource, options: OcrOptions, page_number: int | None) -> list[int]:
    """The page numbers that results will carry.

    Raises:
        PageOutOfRange: the document has none of the pages asked for.
    """
    if page_number is not None and _is_one_image(source):
        # An upload of one scanned page that says which page of something larger it is.
        return [page_number]
    return select_pages(options.pages, source.page_count, page_number)


def page_in_source(source: PageSource, number: int) -> int:
    """The page of the file that carries `number` in results."""
    return 1 if _is_one_image(source) else number


def _is_one_image(source: PageSource) -> bool:
    return source.page_count == 1 and source.media_type != media_types.PDF
