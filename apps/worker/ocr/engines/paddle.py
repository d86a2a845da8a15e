"""PaddleOCR 3 as an engine: on ONNX Runtime (CPU), or on Paddle itself (GPU, or CPU if asked for)."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from ocr.engines import models, opencv_alias
from ocr.engines.base import PageContent, ReadRequest, TextLine
from ocr.engines.halving import at_half_size, in_halves, is_out_of_memory
from ocr.engines.offline import find_model, require_model
from ocr.engines.warm_up_page import warm_up_page
from ocr.engines.word_places import with_words
from ocr.languages import language_code, merge_languages
from quire.contracts import Box
from quire.errors import EngineUnavailable
from quire.pages import PageImage
from quire.settings import Settings, set_default_environment

logger = logging.getLogger(__name__)

# Detection on the page scaled to this many pixels on its long side. PaddleOCR's default keeps photos up to 4,000
# pixels: slower, gigabytes of memory, and no more words found.
DETECTION_SIDE: Final = 960
DETECTION_BOX_THRESHOLD: Final = 0.5
DETECTION_UNCLIP_RATIO: Final = 1.6

# PaddleOCR's model for lines that are upside down.
TEXTLINE_MODEL: Final = "PP-LCNet_x1_0_textline_ori"

# PaddleOCR turns a crop upright when it is this much taller than wide.
_TURNED_CROP_RATIO: Final = 1.5
_SMALLEST_SIDE: Final = 4

# Pages that the detector takes at once on a CPU, which gains nothing from more, and on a GPU.
_CPU_PAGE_BATCH: Final = 1
_GPU_PAGE_BATCH: Final = 8
# Crops of lines that the recogniser takes at once: PaddleOCR's own number, since another one reads other text.
_REC_BATCH: Final = 6


class PaddleEngine:
    """An `OcrEngine` over PaddleOCR. Pipelines are built when a language first needs them and kept."""

    name = "paddleocr"

    def __init__(self, settings: Settings, threads: int | None = None) -> None:
        self._settings = settings
        self._threads = threads or settings.quire_ocr_threads or len(os.sched_getaffinity(0))
        # By language, and whether lines are turned upright.
        self._pipelines: dict[tuple[str, bool], Any] = {}
        self._page_batch = settings.paddleocr_page_batch or (_GPU_PAGE_BATCH if settings.uses_gpu else _CPU_PAGE_BATCH)
        self._rec_batch = settings.paddleocr_rec_batch or _REC_BATCH

    @property
    def version(self) -> str:
        """PaddleOCR's version, the runtime, the models and the recogniser's batch, where it is not the usual one."""
        # In a batch all crops are padded to the widest one, and that changes a character here and there.
        batch = "" if self._rec_batch == _REC_BATCH else f".batch{self._rec_batch}"
        return f"{version('paddleocr')}+{self._runtime}.{self._source}{batch}"

    @property
    def _runtime(self) -> models.Runtime:
        if self._settings.paddleocr_enable_hpi:
            return "hpi"
        return "paddle" if self._settings.uses_gpu else self._settings.quire_cpu_engine

    @property
    def _source(self) -> str:
        if self._settings.paddleocr_det_model_dir or self._settings.paddleocr_rec_model_dir:
            return "directory"
        return self._settings.quire_models or ("bundled" if self._runtime == "onnxruntime" else "download")

    def describe(self) -> dict[str, Any]:
        """See `OcrEngine.describe`."""
        return {
            "engine": self.name,
            "version": self.version,
            "runtime": self._runtime,
            "device": self._settings.ocr_device,
            "page_batch": self._page_batch,
            "rec_batch": self._rec_batch,
            "hpi": self._settings.paddleocr_enable_hpi,
            "threads": self._threads,
            "models": self._source,
            "loaded": sorted({language for language, _ in self._pipelines}),
        }

    def warm_up(self) -> None:
        """See `OcrEngine.warm_up`."""
        languages = merge_languages(self._settings.paddleocr_lang, ())
        self.recognize([warm_up_page()], languages)

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        """See `OcrEngine.recognize`. Pages of one size are read together; what is read does not depend on it."""
        return self._recognize(images, self._pipeline(languages, turns_lines=self._has_classifier))

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        """See `PageEngine.recognize_pages`."""
        turns_lines = request.textline_orientation or self._has_classifier
        pipeline = self._pipeline(request.languages, turns_lines=turns_lines)
        return [PageContent(tuple(lines)) for lines in self._recognize(images, pipeline)]

    def _recognize(self, images: Sequence[PageImage], pipeline: Any) -> list[list[TextLine]]:
        found: dict[int, list[TextLine]] = {}
        for batch in _of_one_size(images, self._page_batch):
            lines = in_halves([images[index] for index in batch], partial(self._read, pipeline))
            found.update(zip(batch, lines, strict=True))
        return [found.get(index, []) for index in range(len(images))]

    def _read(self, pipeline: Any, images: Sequence[PageImage]) -> list[list[TextLine]]:
        """The lines of images of one size, which are one batch."""
        if len(images) == 1:
            # The pipeline reads the lines of one page at a time: only for a single page do fewer at once help.
            return at_half_size(self._rec_batch, partial(_predict, pipeline, images))
        try:
            return _predict(pipeline, images, self._rec_batch)
        except Exception as error:
            if is_out_of_memory(error):
                # The detector takes all pages at one scale: the next batch would not fit either.
                self._page_batch = min(self._page_batch, (len(images) + 1) // 2)
            raise

    @property
    def _has_classifier(self) -> bool:
        """Whether the operator has given a model for upside-down lines: then all lines go through it."""
        return self._settings.paddleocr_cls_model_dir is not None

    def _pipeline(self, languages: Sequence[str], *, turns_lines: bool = False) -> Any:
        key = self._model_language(languages), turns_lines
        if key not in self._pipelines:
            self._pipelines[key] = self._build(*key)
        return self._pipelines[key]

    def _model_language(self, languages: Sequence[str]) -> str:
        """The language that chooses the recogniser: the first that PP-OCRv6 does not read, else English.

        The recognisers of other scripts read Latin letters as well, PP-OCRv6 does not read other scripts; all that it
        reads share one recogniser. Models from a directory are one recogniser for everything.
        """
        codes = list(languages) or [language_code(self._settings.paddleocr_lang)]
        if self._source == "directory":
            return codes[-1]
        special = next((code for code in codes if code not in self._shared_languages), None)
        return special or "en"

    @cached_property
    def _shared_languages(self) -> frozenset[str]:
        """The languages of the one PP-OCRv6 recogniser."""
        self._import()
        from paddleocr._pipelines.ocr import _PPOCRV6_LANGS

        return frozenset(_PPOCRV6_LANGS)

    def _import(self) -> Any:
        return import_paddleocr(self._settings, offline=self._source != "download")

    def _build(self, language: str, turns_lines: bool) -> Any:
        # First of all: laying out the bundled models imports PaddleX, which reads its environment then.
        self._import()
        if self._settings.uses_gpu:
            require_gpu(self._settings.ocr_device)
        if self._settings.paddleocr_enable_hpi:
            _require_hpi()
        source = self._source
        if source == "bundled" and language not in self._shared_languages:
            raise EngineUnavailable(
                f"The bundled models do not read {language!r}. Set QUIRE_MODELS=download, or PADDLEOCR_REC_MODEL_DIR."
            )
        if source != "download":
            return self._create(self._runtime, self._models_on_disk(), turns_lines)
        try:
            return self._create(models.downloaded_runtime(language, self._runtime), {"lang": language}, turns_lines)
        except EngineUnavailable:
            if language not in self._shared_languages:
                raise
            logger.warning("PaddleOCR could not download its models; using the bundled PP-OCRv6 small models.")
            bundled = _named(*models.bundled_models(self._settings.quire_model_dir))
            return self._create("onnxruntime", bundled, turns_lines)

    def _models_on_disk(self) -> dict[str, Any]:
        given_detection, given_recognition = (
            self._settings.paddleocr_det_model_dir,
            self._settings.paddleocr_rec_model_dir,
        )
        if not (given_detection and given_recognition) and self._runtime == "paddle":
            raise EngineUnavailable(
                "The bundled models are ONNX graphs. With the Paddle runtime set both PADDLEOCR_DET_MODEL_DIR and "
                "PADDLEOCR_REC_MODEL_DIR, or neither of them together with QUIRE_MODELS=download."
            )
        # Only asked for where needed: laying them out takes a moment.
        bundled = (
            None if given_detection and given_recognition else models.bundled_models(self._settings.quire_model_dir)
        )
        detection = (
            models.given_model(given_detection, "PADDLEOCR_DET_MODEL_DIR", self._runtime)
            if given_detection
            else bundled and bundled[0]
        )
        recognition = (
            models.given_model(given_recognition, "PADDLEOCR_REC_MODEL_DIR", self._runtime)
            if given_recognition
            else bundled and bundled[1]
        )
        assert detection is not None
        assert recognition is not None
        return _named(detection, recognition)

    def _create(self, runtime: models.Runtime, chosen: dict[str, Any], turns_lines: bool) -> Any:
        paddleocr = self._import()
        if turns_lines:
            chosen = chosen | self._classifier(runtime)
        try:
            return paddleocr.PaddleOCR(
                device=self._settings.ocr_device,
                use_doc_orientation_classify=False,
                use_doc_unwarping=False,
                use_textline_orientation=turns_lines,
                text_det_limit_side_len=DETECTION_SIDE,
                text_det_limit_type="max",
                text_det_box_thresh=DETECTION_BOX_THRESHOLD,
                text_det_unclip_ratio=DETECTION_UNCLIP_RATIO,
                return_word_box=True,
                **self._runtime_options(runtime),
                **chosen,
            )
        except EngineUnavailable:
            raise
        except Exception as error:
            # PaddleX raises plain Exception for an unknown language, a missing file and a failed download alike.
            raise EngineUnavailable(f"PaddleOCR could not load its models: {_first_line(error)}") from error

    def _classifier(self, runtime: models.Runtime) -> dict[str, Any]:
        """The model for upside-down lines: the one that is given, else the one that lies here; else PaddleOCR's own."""
        directory, files = self._settings.paddleocr_cls_model_dir, models.RUNTIME_FILES[runtime]
        if directory is None:
            directory = find_model(self._settings.quire_model_dir, TEXTLINE_MODEL, files)
        if directory is None and self._source != "download":
            directory = require_model(self._settings.quire_model_dir, TEXTLINE_MODEL, files, "textline_orientation")
        if directory is None:
            return {}
        model = models.given_model(directory, "PADDLEOCR_CLS_MODEL_DIR", runtime)
        return {
            "textline_orientation_model_name": model.name,
            "textline_orientation_model_dir": str(model.directory),
        }

    def _runtime_options(self, runtime: models.Runtime) -> dict[str, Any]:
        if runtime == "onnxruntime":
            return {"engine": "onnxruntime", "engine_config": {"intra_op_num_threads": self._threads}}
        if runtime == "hpi":
            # PaddleX leaves the plugin out where an engine is named.
            return {"enable_hpi": True, "engine_config": {"hpi": {}}}
        # Paddle 3.3 fails on detection graphs through oneDNN ("ConvertPirAttribute2RuntimeAttribute").
        return {"engine": "paddle_static", "cpu_threads": self._threads, "enable_mkldnn": False}


def import_paddleocr(settings: Settings, *, offline: bool) -> Any:
    """The package `paddleocr`, set up: where it keeps models, and whether it may look for them elsewhere.

    Raises:
        EngineUnavailable: it is not installed.
    """
    set_default_environment(PADDLE_PDX_CACHE_HOME=str(settings.quire_model_dir.absolute() / "paddlex"))
    if offline:
        set_default_environment(PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK="True")
    opencv_alias.install()
    try:
        import paddleocr
    except ImportError as error:
        raise EngineUnavailable(
            f"PaddleOCR cannot be imported ({error}). Install apps/worker/requirements.txt."
        ) from error
    # PaddleX announces every model it creates on standard error, in colour.
    logging.getLogger("paddlex").setLevel(logging.WARNING)
    return paddleocr


def require_gpu(device: str) -> None:
    """Refuse a Paddle that cannot use this GPU: PaddleX would read on the CPU, slowly and without a word."""
    import paddle

    if not paddle.device.is_compiled_with_cuda():
        raise EngineUnavailable(
            f"Pages are to be read on {device} (PADDLEOCR_USE_GPU, PADDLEOCR_DEVICE), but this paddlepaddle is built "
            "for the CPU: install paddlepaddle-gpu."
        )
    count = paddle.device.cuda.device_count()
    if int(device.partition(":")[2]) >= count:
        raise EngineUnavailable(
            f"Pages are to be read on {device} (PADDLEOCR_USE_GPU, PADDLEOCR_DEVICE), but Paddle sees {count} GPUs. "
            "Check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES."
        )


def _require_hpi() -> None:
    """Refuse to go on without the plugin that was asked for."""
    if importlib.util.find_spec("ultra_infer") is None:
        raise EngineUnavailable(
            "PADDLEOCR_ENABLE_HPI is set, but PaddleOCR's high-performance inference plugin is not installed: run "
            "`paddleocr install_hpi_deps cpu` (or gpu), or unset it."
        )


def _of_one_size(images: Sequence[PageImage], most: int) -> Iterator[list[int]]:
    """Indices of the images, in lists of up to `most` of the same size; an image too small for text is in none.

    PaddleX stacks the pages of a batch for its detector, which takes one shape only.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        if min(image.width, image.height) >= _SMALLEST_SIDE:
            by_size.setdefault((image.width, image.height), []).append(index)
    for indices in by_size.values():
        for start in range(0, len(indices), most):
            yield indices[start : start + most]


def _predict(pipeline: Any, images: Sequence[PageImage], rec_batch: int) -> list[list[TextLine]]:
    """The lines of images of one size: one batch for the detector, up to `rec_batch` crops for the recogniser.

    PaddleX takes batch sizes only when a pipeline is built; the samplers of its models have them as attributes.
    """
    stages = pipeline.paddlex_pipeline
    stages.batch_sampler.batch_size = len(images)
    stages.text_det_model.batch_sampler.batch_size = len(images)
    stages.text_rec_model.batch_sampler.batch_size = rec_batch
    if stages.use_textline_orientation:
        # In larger batches PaddleX 3.7 gives every crop the orientation of the first one.
        stages.textline_orientation_model.batch_sampler.batch_size = 1
    pages = pipeline.predict([np.ascontiguousarray(image.pixels[:, :, ::-1]) for image in images])
    return [_lines(page) for page in pages]


def _lines(page: Any) -> list[TextLine]:
    # 1: the text-line orientation model found the crop upside down. Absent where the page has no lines.
    angles = page.get("textline_orientation_angles") or ()
    lines = zip(
        page["rec_polys"], page["rec_texts"], page["rec_scores"], angles, page["text_word"], page["text_word_boxes"],
        strict=True,
    )  # fmt: skip
    return [
        with_words(
            TextLine(text, line_box(polygon, text, upside_down=angle == 1), float(min(max(score, 0.0), 1.0))),
            polygon,
            pieces,
            places,
        )
        for polygon, text, score, angle, pieces, places in lines
        if text.strip()
    ]


def _named(detection: models.Model, recognition: models.Model) -> dict[str, Any]:
    return {
        "text_detection_model_name": detection.name,
        "text_detection_model_dir": str(detection.directory),
        "text_recognition_model_name": recognition.name,
        "text_recognition_model_dir": str(recognition.directory),
    }


def line_box(polygon: Any, text: str, *, upside_down: bool = False) -> Box:
    """PaddleOCR's polygon, int16 of shape (4, 2) from the image's top left, starting at the text's own top left.

    `upside_down`: PaddleOCR turned its crop by half before reading it.
    """
    points = [(float(x), float(y)) for x, y in polygon]
    width = np.hypot(points[1][0] - points[0][0], points[1][1] - points[0][1])
    height = np.hypot(points[3][0] - points[0][0], points[3][1] - points[0][1])
    if len(text) > 1 and height >= _TURNED_CROP_RATIO * width:
        # The line runs down the page: PaddleOCR turned its crop a quarter to the left before reading it.
        points = points[1:] + points[:1]
    if upside_down:
        points = points[2:] + points[:2]
    return points[0], points[1], points[2], points[3]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
