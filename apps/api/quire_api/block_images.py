"""Pictures of blocks: the one a worker cut out, else cut out of the page's image here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quire.contracts import Block
from quire.database.tables import Document, Page
from quire.deletion import derived_prefix
from quire.errors import ObjectNotFound, PageOutOfRange
from quire.settings import Settings
from quire.storage import ObjectStore


@dataclass(frozen=True)
class BlockPlace:
    """A block of a page that was read; `width` and `height` are the pixels of its page's image."""

    document: Document
    number: int
    index: int
    block: Block
    width: int
    height: int

    @property
    def key(self) -> str | None:
        """Where its picture is kept, in the default bucket.

        Only below the document's own prefix: a page copied from an earlier reading names that one's, which may be gone.
        """
        key = self.block.picture
        return key if key is not None and key.startswith(derived_prefix(self.document.id)) else None


def find_block(document: Document, page: Page | None, number: int, index: int) -> BlockPlace:
    """A block by its index among those of the page, from 0.

    Raises:
        PageOutOfRange: the page was not read, or has no such block.
    """
    blocks = (page.blocks or []) if page is not None else []
    if page is None or not page.width or not page.height or index >= len(blocks):
        raise PageOutOfRange(f"Page {number} has no block {index}: it has {len(blocks)}.")
    return BlockPlace(document, number, index, Block.model_validate(blocks[index]), page.width, page.height)


def kept_picture(place: BlockPlace, settings: Settings, store: ObjectStore) -> bytes | None:
    """The PNG that the worker stored; None if there is none.

    Raises:
        StorageError: the store did not say.
    """
    if place.key is None:
        return None
    with TemporaryDirectory(prefix="quire-picture-") as folder:
        target = Path(folder) / "picture"
        try:
            store.download(settings.default_bucket, place.key, target, settings.quire_max_bytes)
        except ObjectNotFound:
            return None
        return target.read_bytes()


def cut_out(place: BlockPlace, page_jpeg: bytes) -> bytes:
    """The upright rectangle around the block as PNG, out of its page's image."""
    from PIL import Image

    with Image.open(io.BytesIO(page_jpeg), formats=["JPEG"]) as page:
        # The image may be smaller than the one that boxes refer to.
        across, down = page.width / place.width, page.height / place.height
        xs = [x * across for x, _ in place.block.polygon]
        ys = [y * down for _, y in place.block.polygon]
        left, top = min(int(min(xs)), page.width - 1), min(int(min(ys)), page.height - 1)
        right, bottom = max(left + 1, min(round(max(xs)), page.width)), max(top + 1, min(round(max(ys)), page.height))
        content = io.BytesIO()
        page.crop((left, top, right, bottom)).save(content, "PNG")
    return content.getvalue()
