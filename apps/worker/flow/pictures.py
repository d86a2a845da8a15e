"""Pictures that an engine cuts out of pages, kept in object storage."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from ocr.engines import OcrEngine, PageContent, ReadRequest, read_images
from ocr.engines.over import EngineOver
from quire.contracts import Block
from quire.pages import PageImage
from quire.storage import ObjectStore


class KeepingPictures(EngineOver):
    """A `PageEngine` over another one: what that cuts out is stored under `prefix`, and blocks say where.

    The same page of the same document gives the same keys: read again, it replaces its pictures.
    """

    def __init__(self, inner: OcrEngine, store: ObjectStore, bucket: str, prefix: str) -> None:
        super().__init__(inner)
        self._store = store
        self._bucket = bucket
        self._prefix = prefix

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`.

        Raises:
            StorageError: a picture cannot be stored.
        """
        found = read_images(self._inner, images, request)
        return [self._kept(content, image.number) for content, image in zip(found, images, strict=True)]

    def _kept(self, content: PageContent, number: int) -> PageContent:
        if not content.pictures:
            return content
        blocks: list[Block] = list(content.blocks)
        for index, pixels in content.pictures.items():
            key = f"{self._prefix}picture-{number}-{index + 1}.png"
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "PNG")
            encoded.seek(0)
            self._store.put(self._bucket, key, encoded, "image/png")
            blocks[index] = blocks[index].model_copy(update={"picture": key})
        return replace(content, blocks=tuple(blocks), pictures={})
