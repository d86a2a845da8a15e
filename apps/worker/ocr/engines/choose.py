"""Which engine the settings choose."""

from __future__ import annotations

from ocr.engines.base import OcrEngine
from quire.errors import EngineUnavailable
from quire.settings import Settings


def create_engine(settings: Settings, threads: int | None = None) -> OcrEngine:
    """The engine these settings choose, not yet loaded. `threads` are those of one inference (default: all cores).

    Raises:
        EngineUnavailable: this worker was installed without one, as workers of the default queue may be.
    """
    try:
        return _create(settings, threads)
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"No engine is installed here ({error.name} is missing). Install apps/worker/requirements.txt."
        ) from error


def _create(settings: Settings, threads: int | None) -> OcrEngine:
    if engine_name(settings) == "lean":
        from ocr.engines.lean import LeanEngine

        return LeanEngine(settings, threads)
    from ocr.engines.paddle import PaddleEngine

    return PaddleEngine(settings, threads)


def engine_name(settings: Settings) -> str:
    """`QUIRE_OCR_ENGINE`, else `paddleocr` where a setting asks for what only PaddleOCR has, else `lean`.

    Only PaddleOCR runs on Paddle itself, downloads models, has its plugin for inference and turns single lines upright.
    """
    if settings.quire_ocr_engine is not None:
        return settings.quire_ocr_engine
    needs_paddle = (
        settings.uses_gpu
        or settings.quire_cpu_engine == "paddle"
        or settings.quire_models == "download"
        or settings.paddleocr_enable_hpi
        or settings.paddleocr_cls_model_dir is not None
    )
    return "paddleocr" if needs_paddle else "lean"
