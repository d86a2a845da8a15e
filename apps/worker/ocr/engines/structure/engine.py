"""PP-StructureV3 through PaddleOCR 3."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from ocr.engines.base import PageContent, ReadRequest, TextLine
from ocr.engines.halving import in_halves, is_out_of_memory
from ocr.engines.paddle import import_paddleocr, require_gpu
from ocr.engines.structure import pipeline_config
from ocr.engines.structure.mapping import content_of
from ocr.engines.warm_up_page import warm_up_page
from ocr.languages import merge_languages
from quire.errors import EngineUnavailable, OutOfMemory, QuireError
from quire.pages import PageImage
from quire.settings import Settings

logger = logging.getLogger(__name__)

# Smaller images have nothing to see; PaddleX's models fail on some of them.
_SMALLEST_SIDE = 16


class StructureEngine:
    """A `PageEngine` over PP-StructureV3. The pipeline is built at the first page: that takes seconds and gigabytes."""

    name = "pp-structurev3"

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._settings = settings
        self._threads = threads or settings.quire_ocr_threads or len(os.sched_getaffinity(0))
        self._pipeline: Any = None
        self._turns_lines = False

    @cached_property
    def version(self) -> str:
        """PaddleOCR's version and the configuration.

        Raises:
            EngineUnavailable: the configuration cannot be read.
        """
        return f"{version('paddleocr')}+{pipeline_config.digest(self._config)}"

    @cached_property
    def preparation(self) -> pipeline_config.Preparation:
        """What the configuration has done to pages before they are read.

        Raises:
            EngineUnavailable: the configuration cannot be read, or names a directory that has no such model.
        """
        return pipeline_config.preparation(self._config, self._settings)

    @cached_property
    def _config(self) -> pipeline_config.Config:
        self._import()
        return pipeline_config.load(self._settings)

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return {
            "engine": self.name,
            "version": self.version,
            "device": self._settings.ocr_device,
            "threads": self._threads,
            "models": [
                str(pipeline_config.model_name(self._config, place))
                for place in pipeline_config.used_models(self._config)
            ],
            "loaded": self._pipeline is not None,
        }

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""
        request = ReadRequest(merge_languages(self._settings.paddleocr_lang, ()))
        try:
            self.recognize_pages([warm_up_page()], request)
        except QuireError:
            raise
        except Exception as error:
            # A graph that can be loaded may be another model's all the same.
            raise EngineUnavailable(f"PP-StructureV3 cannot read with its models: {_first_line(error)}") from error

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`."""
        return [list(page.lines) for page in self.recognize_pages(images, ReadRequest(tuple(languages)))]

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`. The languages are those of the configured recogniser."""
        pipeline = self._built(request.textline_orientation)
        is_large = [min(image.width, image.height) >= _SMALLEST_SIDE for image in images]
        large = [image for image, read in zip(images, is_large, strict=True) if read]
        found = iter(in_halves(large, lambda some: self._predict(pipeline, some, request)))
        return [next(found) if read else PageContent(()) for read in is_large]

    def _predict(self, pipeline: Any, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        # PaddleX paints over formulas in the array that it is given.
        pages = [np.ascontiguousarray(image.pixels[:, :, ::-1]) for image in images]
        try:
            results = pipeline.predict(
                pages,
                use_textline_orientation=request.textline_orientation or pipeline_config.turns_lines(self._config),
                use_table_orientation_classify=pipeline_config.turns_tables(self._config),
            )
        except EngineUnavailable:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemory("The pages need more memory than there is.") from None
            raise
        return [content_of(result.json["res"], image.pixels) for result, image in zip(results, images, strict=True)]

    def _built(self, turns_lines: bool) -> Any:
        """The pipeline, with the model for upside-down lines once somebody has asked for it."""
        if self._pipeline is None or (turns_lines and not self._turns_lines):
            # What is missing is missed before the pipeline that there is goes.
            paddleocr = self._import()
            config = pipeline_config.resolved(self._config, self._settings, textline_orientation=turns_lines)
            # Two of them would take twice the memory.
            self._pipeline = None
            self._pipeline = self._build(paddleocr, config)
            self._turns_lines = turns_lines
        return self._pipeline

    def _import(self) -> Any:
        return import_paddleocr(self._settings, offline=self._settings.quire_models != "download")

    def _build(self, paddleocr: Any, config: pipeline_config.Config) -> Any:
        if self._settings.uses_gpu:
            require_gpu(self._settings.ocr_device)
        try:
            pipeline = paddleocr.PPStructureV3(
                paddlex_config=config,
                device=self._settings.ocr_device,
                engine_config=pipeline_config.runtimes(self._settings, self._threads),
            )
            if pipeline_config.turns_tables(config):
                # PaddleX loads it at the first page with a table.
                tables = pipeline.paddlex_pipeline.table_recognition_pipeline._pipeline
                tables.table_orientation_classify_model = tables.create_model(tables.table_orientation_classify_config)
            return pipeline
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemory("The models of mode structure need more memory than there is.") from None
            # PaddleX raises plain exceptions for a missing file, a damaged model and a failed download alike.
            raise EngineUnavailable(f"PP-StructureV3 could not load its models: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The model that PaddleX was at, which few of its errors name, and what it said."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "create_model" and isinstance(config := frame.f_locals.get("config"), dict):
            return f"{config.get('model_name')}: {_first_line(error)}"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
