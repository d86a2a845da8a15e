"""The lean engine: PP-OCR's networks without PaddleOCR around them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np

from ocr import turns
from ocr.collector import collector_paused
from ocr.engines.base import TextLine, TextWord
from ocr.engines.halving import in_halves
from ocr.engines.lean import alignment, crops, detection, reading, recognition, scripts, turned_pages
from ocr.engines.lean.detection import Quad
from ocr.engines.lean.files import model_files
from ocr.engines.lean.loading import Loaded, load, runtime_for
from ocr.engines.lean.network import Network, Runtime
from ocr.engines.lean.presets import PRESETS
from ocr.engines.lean.reading import Attempt, Reading
from ocr.engines.warm_up_page import warm_up_page
from ocr.languages import merge_languages
from quire.contracts import Box
from quire.pages import PageImage
from quire.settings import Settings

# Raised whenever the same page may come out differently.
_REVISION: Final = 4
_SMALLEST_SIDE: Final = 4

# What the recogniser says of a line, and the characters in it.
Line = tuple[alignment.Steps, Sequence[alignment.Character]]


class LeanEngine:
    """An `OcrEngine` over PP-OCR's detector and recogniser in OpenVINO, or in ONNX Runtime where that is missing.

    Pages handed over together are detected side by side and their lines are read in common batches; what is read in a
    line depends on its pixels only. Its threads are its own; call it from one thread.
    """

    name = "lean"

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._settings = settings
        self._threads = threads or settings.quire_ocr_threads or len(os.sched_getaffinity(0))
        self._preset = PRESETS[settings.quire_ocr_preset]
        self._loaded: dict[scripts.Script, Loaded] = {}
        # One more than infer at once: it cuts out or decodes lines meanwhile.
        self._executor = ThreadPoolExecutor(self._threads + 1, thread_name_prefix="ocr")
        # The threads are ours already: OpenCV's own would compete with them.
        cv2.setNumThreads(1)

    @cached_property
    def version(self) -> str:
        """Revision, runtime, models and preset: what decides the text that comes out."""
        return f"{_REVISION}+{self._runtime}.{self._models}.{self._settings.quire_ocr_preset}"

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return {
            "engine": self.name,
            "version": self.version,
            "runtime": self._runtime,
            "device": self._settings.ocr_device,
            "threads": self._threads,
            "preset": self._settings.quire_ocr_preset,
            "models": self._models,
            "loaded": sorted(self._loaded),
        }

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""
        self.recognize([warm_up_page()], merge_languages(self._settings.paddleocr_lang, ()))

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`."""
        loaded = self._load(languages)
        with collector_paused():
            return in_halves(images, lambda some: self._read(some, loaded))

    @property
    def _runtime(self) -> Runtime:
        return runtime_for(self._settings)

    @cached_property
    def _models(self) -> str:
        """The models by name; those of a directory also by content, since folders may have the same name."""
        found = model_files(self._settings)
        own = self._settings.paddleocr_det_model_dir or self._settings.paddleocr_rec_model_dir
        return f"{found.name}-{found.digest()[:8]}" if own else found.name

    def _load(self, languages: Sequence[str]) -> Loaded:
        codes = languages or merge_languages(self._settings.paddleocr_lang, ())
        script = scripts.script_of(codes, own_model=self._settings.paddleocr_rec_model_dir is not None)
        if script not in self._loaded:
            self._loaded[script] = load(self._settings, script, self._threads, precise=self._preset.precise)
        return self._loaded[script]

    def _read(self, images: Sequence[PageImage], loaded: Loaded) -> list[list[TextLine]]:
        """The lines of each page; those of turned pages are read on the page turned upright, where more is found."""
        pages = self._readings(images, loaded)
        quarters = [turned_pages.page_quarters(found) for found in pages]
        turned = [index for index, turns in enumerate(quarters) if turns]
        upright = [turns.upright(images[index], quarters[index]) for index in turned]
        again = dict(zip(turned, zip(upright, self._readings(upright, loaded), strict=True), strict=True))
        lines = [_lines(found, image) for found, image in zip(pages, images, strict=True)]
        for index, (seen, found) in again.items():
            if turned_pages.is_more(found, pages[index]):
                seen_lines = _lines(found, seen)
                lines[index] = [turned_pages.put_back(line, images[index], quarters[index]) for line in seen_lines]
        return lines

    def _readings(self, images: Sequence[PageImage], loaded: Loaded) -> list[list[Reading]]:
        """What is read in each page's boxes, each the way it reads best."""
        places = self._executor.map(lambda image: self._detect(image, loaded.detector), images)
        boxes = [reading.attempts(page, region.quad) for page, found in enumerate(places) for region in found]
        readings = iter(self._attempt([way for ways in boxes for way in ways], images, loaded))
        chosen = [reading.surest([next(readings) for _ in ways]) for ways in boxes]
        pages: list[list[Reading]] = [[] for _ in images]
        for read in self._look_again(self._turn_round(chosen, images, loaded), images, loaded):
            pages[read.attempt.page].append(read)
        return pages

    def _look_again(
        self, readings: Sequence[Reading], images: Sequence[PageImage], loaded: Loaded
    ) -> Sequence[Reading]:
        """The readings, doubtful ones replaced where another view of the line is read more surely."""
        doubtful = [read for read in readings if read.characters and read.confidence < self._preset.second_look]
        second = self._attempt([read.attempt.second() for read in doubtful], images, loaded)
        better = {id(old): new for old, new in zip(doubtful, second, strict=True) if new.confidence > old.confidence}
        return [better.get(id(read), read) for read in readings]

    def _detect(self, image: PageImage, detector: Network) -> list[detection.Region]:
        if min(image.width, image.height) < _SMALLEST_SIDE:
            return []
        return detection.detect(image.pixels, detector, self._preset.detection)

    def _attempt(self, attempts: Sequence[Attempt], images: Sequence[PageImage], loaded: Loaded) -> list[Reading]:
        """Read each box the way it is taken to run."""
        widths = [crops.picture_width(attempt.upright, attempt.frame) for attempt in attempts]
        batches = recognition.batches(widths, loaded.recognizer.batch_pixels)
        lines: dict[int, Line] = {}
        found = self._executor.map(
            lambda batch: self._read_lines([attempts[i] for i in batch], images, loaded), batches
        )
        for batch, answers in zip(batches, found, strict=True):
            lines.update(zip(batch, answers, strict=True))
        ordered = self._guarded([lines[index] for index in range(len(attempts))], loaded.guard)
        return [Reading(*parts) for parts in zip(attempts, widths, ordered, strict=True)]

    def _guarded(self, lines: Sequence[Line], guard: scripts.ScriptGuard | None) -> list[Sequence[alignment.Character]]:
        """The characters of each line, of some decided among all that the recogniser knows."""
        read = [characters for _, characters in lines]
        if guard is not None:
            others = [index for index, found in enumerate(guard.find_others(lines, self._executor)) if found]
            decided = self._executor.map(guard.with_all, [lines[index][0] for index in others])
            for index, steps in zip(others, decided, strict=True):
                read[index] = alignment.decode(steps, self._preset.space)
        return read

    def _read_lines(self, attempts: Sequence[Attempt], images: Sequence[PageImage], loaded: Loaded) -> list[Line]:
        """All that a batch of lines takes, on one thread: the others infer meanwhile."""
        pictures = [crops.cut(images[one.page].pixels, one.upright, one.frame) for one in attempts]
        answers = recognition.read(pictures, loaded.recognizer, loaded.characters)
        return [(steps, alignment.decode(steps, self._preset.space)) for steps in answers]

    def _turn_round(
        self, readings: Sequence[Reading], images: Sequence[PageImage], loaded: Loaded
    ) -> Sequence[Reading]:
        """The readings, those of upside-down pages made again from the other end."""
        turned: dict[int, Reading] = {}
        for group in reading.doubtful_groups(readings):
            telling = reading.sample(group)
            tried = self._attempt([read.attempt.opposite() for read in telling], images, loaded)
            if reading.reads_better(tried, telling):
                again = self._attempt([read.attempt.opposite() for read in group], images, loaded)
                turned.update((id(old), new) for old, new in zip(group, again, strict=True))
        return [turned.get(id(read), read) for read in readings]


def _lines(readings: Sequence[Reading], image: PageImage) -> list[TextLine]:
    """The lines with text in them, and their words; corners within the page, to a hundredth of a pixel."""
    inked = [read for read in readings if read.text.strip()]
    spans = [alignment.words(read.characters, read.width / alignment.STEP_PIXELS) for read in inked]
    boxes = iter(_boxes(inked, spans, image))
    return [
        TextLine(
            read.text,
            next(boxes),
            min(read.confidence, 1.0),
            tuple(TextWord(word.text, next(boxes), min(word.score, 1.0)) for word in words),
        )
        for read, words in zip(inked, spans, strict=True)
    ]


def _boxes(readings: Sequence[Reading], spans: Sequence[Sequence[alignment.Span]], image: PageImage) -> list[Box]:
    """The box of each line, followed by those of its words."""
    if not readings:
        return []
    quads: list[Quad] = []
    shares: list[tuple[float, float]] = []
    for read, words in zip(readings, spans, strict=True):
        quad = read.attempt.upright
        begin, end = crops.extent(quad, read.attempt.frame)
        step = (end - begin) * alignment.STEP_PIXELS / read.width
        quads += [quad] * (1 + len(words))
        shares += [(0.0, 1.0), *((begin + word.start * step, begin + word.end * step) for word in words)]
    starts, ends = zip(*shares, strict=True)
    places = crops.parts(np.asarray(quads), starts, ends).astype(np.float64)
    within = np.clip(places, 0, [image.width, image.height])
    return [((*a,), (*b,), (*c,), (*d,)) for a, b, c, d in np.round(within, 2).tolist()]
