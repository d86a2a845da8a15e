"""GOT-OCR 2.0: a network that looks at a page and writes down what it says."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from PIL import Image

from ocr.engines.base import PageContent, ReadRequest, TextLine
from ocr.engines.got import checkpoint
from ocr.engines.halving import in_halves, is_out_of_memory
from ocr.engines.warm_up_page import warm_up_page
from ocr.languages import merge_languages
from quire.errors import EngineUnavailable, OutOfMemory, PageTimeout
from quire.pages import PageImage
from quire.settings import Settings
from quire.structure.escaping import escape_line

logger = logging.getLogger(__name__)

# Left, top, right, bottom, in pixels of the page image.
Region = tuple[float, float, float, float]

_CPU_PAGE_BATCH: Final = 1
_GPU_PAGE_BATCH: Final = 8
# As its authors run it: without this it repeats the last line of some pages until the tokens are used up.
_NO_REPEAT: Final = 20


class GotEngine:
    """A `PageEngine` over GOT-OCR 2.0. It knows no places and no confidences: pages have no `detections`.

    Mode text is one pass of the network; mode structure is a second one, whose answer is the page's Markdown.
    """

    name = "got"
    # It answers mode structure itself.
    formats_pages = True

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._settings = settings
        self._threads = threads or settings.quire_ocr_threads or len(os.sched_getaffinity(0))
        self._loaded: checkpoint.Loaded | None = None
        self._page_batch = settings.paddleocr_page_batch or (_GPU_PAGE_BATCH if settings.uses_gpu else _CPU_PAGE_BATCH)

    @cached_property
    def version(self) -> str:
        """The version of transformers, the checkpoint's digest, the kind of floats, and how long an answer may be.

        Raises:
            EngineUnavailable: the package or the checkpoint is missing.
        """
        directory = checkpoint.directory_of(self._settings)
        checkpoint.check(directory)
        floats = "bf16" if self._settings.uses_gpu else "fp32"
        length = self._settings.quire_got_max_tokens
        return f"{_transformers_version()}+{checkpoint.digest(directory)[:12]}.{floats}.{length}"

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return {
            "engine": self.name,
            "version": self.version,
            "device": self._settings.ocr_device,
            "page_batch": self._page_batch,
            "max_tokens": self._settings.quire_got_max_tokens,
            "threads": self._threads,
            "models": str(checkpoint.directory_of(self._settings)),
            "loaded": self._loaded is not None,
        }

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""
        self.recognize([warm_up_page()], merge_languages(self._settings.paddleocr_lang, ()))

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`: all that an image says as one line around it."""
        texts = [" ".join(text.split()) for text in self.transcribe(images)]
        return [[_around(image, text)] if text else [] for image, text in zip(images, texts, strict=True)]

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`. The network reads English and Chinese best; `languages` change nothing."""
        texts = self.transcribe(images)
        if request.mode == "text":
            return [PageContent((), text=text, markdown=_as_markdown(text)) for text in texts]
        formatted = self.transcribe(images, formatted=True)
        return [PageContent((), text=text, markdown=markdown) for text, markdown in zip(texts, formatted, strict=True)]

    def transcribe(
        self, images: Sequence[PageImage], *, formatted: bool = False, region: Region | None = None
    ) -> list[str]:
        """What each image says, or its `region`; `formatted` as Markdown with LaTeX for formulas and tables.

        Raises:
            EngineUnavailable: it cannot be loaded.
            OutOfMemory: an image alone does not fit the device's memory.
            PageTimeout: the answer had no end after `QUIRE_PAGE_SECONDS` for each image of a batch.
        """
        loaded = self._load()
        texts: list[str] = []
        while len(texts) < len(images):
            batch = images[len(texts) : len(texts) + self._page_batch]
            texts += in_halves(batch, partial(self._read, loaded, formatted=formatted, region=region))
        return texts

    def transcribe_together(self, images: Sequence[PageImage], *, formatted: bool = False) -> str:
        """What pages that belong together say, as one text: sentences and tables go on from page to page.

        Raises as `transcribe`; pages that do not fit together are not divided.
        """
        loaded = self._load()
        pictures = [[Image.fromarray(image.pixels) for image in images]]
        try:
            (text,) = self._generate(loaded, images[:1], pictures, {"format": formatted, "multi_page": True})
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemory(
                    f"The {len(images)} pages together need more memory than there is: name fewer of them."
                ) from None
            raise
        return text

    def _load(self) -> checkpoint.Loaded:
        if self._loaded is None:
            self._loaded = checkpoint.load(self._settings, self._threads)
        return self._loaded

    def _read(
        self, loaded: checkpoint.Loaded, images: Sequence[PageImage], *, formatted: bool, region: Region | None
    ) -> list[str]:
        asked: dict[str, Any] = {"format": formatted}
        if region is not None:
            # A list for each: the processor changes them to parts of a thousand in place.
            asked["box"] = [list(region) for _ in images]
        try:
            return self._generate(loaded, images, [Image.fromarray(image.pixels) for image in images], asked)
        except Exception as error:
            if is_out_of_memory(error):
                # The next batch would not fit either: all pages become as many tokens.
                self._page_batch = min(self._page_batch, (len(images) + 1) // 2)
                _free(loaded)
            raise

    def _generate(
        self, loaded: checkpoint.Loaded, images: Sequence[PageImage], pictures: list[Any], asked: dict[str, Any]
    ) -> list[str]:
        """The answers for pictures, one for each of `images`, which are named where one is too long."""
        model, tokenizer = loaded.model, loaded.processor.tokenizer
        # Groups of pages that are read as one are as many pages.
        seconds = self._settings.quire_page_seconds * sum(
            len(each) if isinstance(each, list) else 1 for each in pictures
        )
        inputs = loaded.processor(pictures, return_tensors="pt", padding=True, **asked).to(model.device, model.dtype)
        started = time.monotonic()
        with loaded.torch.inference_mode():
            written = model.generate(
                **inputs,
                do_sample=False,
                eos_token_id=loaded.end_ids,
                pad_token_id=loaded.end_ids[-1],
                max_new_tokens=self._settings.quire_got_max_tokens,
                max_time=seconds,
                no_repeat_ngram_size=_NO_REPEAT,
            )
        is_over = time.monotonic() - started >= seconds
        answers = written[:, inputs["input_ids"].shape[1] :].tolist()
        for image, tokens in zip(images, answers, strict=True):
            if set(loaded.end_ids) & set(tokens):
                continue
            if is_over and len(tokens) < self._settings.quire_got_max_tokens:
                raise PageTimeout(f"Page {image.number} was not read within {seconds:g} seconds (QUIRE_PAGE_SECONDS).")
            logger.warning(
                "Page %d: the text was cut off after %d tokens (QUIRE_GOT_MAX_TOKENS).", image.number, len(tokens)
            )
        return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in answers]


def _free(loaded: checkpoint.Loaded) -> None:
    """Give what the failed batch held back to the device; torch would keep it for tensors of the same size."""
    if loaded.model.device.type == "cuda":
        loaded.torch.cuda.empty_cache()


def _around(image: PageImage, text: str) -> TextLine:
    right, bottom = float(image.width), float(image.height)
    return TextLine(text, ((0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)), 1.0)


def _as_markdown(text: str) -> str:
    """Plain text whose characters mean nothing in Markdown."""
    return "\n".join(map(escape_line, text.split("\n")))


def _transformers_version() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        raise EngineUnavailable(
            "The engine got is not installed here (transformers is missing). Install apps/worker/requirements-got.txt."
        ) from None
