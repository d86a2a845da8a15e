"""Which engine the settings choose."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from ocr.engines.base import OcrEngine
from quire.errors import EngineUnavailable
from quire.settings import Settings

# Every engine: what `QUIRE_OCR_ENGINE` calls it, and where its class is, which takes settings and a number of threads.
# They are imported when they are chosen: each has libraries of its own.
ENGINES: Final[dict[str, str]] = {
    "got": "ocr.engines.got:GotEngine",
    "lean": "ocr.engines.lean:LeanEngine",
    "paddleocr": "ocr.engines.paddle:PaddleEngine",
}


def create_engine(settings: Settings, threads: int | None = None) -> OcrEngine:
    """The engine these settings choose, not yet loaded. `threads` are those of one inference (default: all cores).

    Raises:
        EngineUnavailable: there is none of that name, or what it needs is not installed here.
    """
    name = known_engine_name(settings)
    module, _, factory = ENGINES[name].partition(":")
    try:
        return cast(OcrEngine, getattr(import_module(module), factory)(settings, threads))
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"The engine {name} is not installed here ({error.name} is missing). Install apps/worker/requirements.txt."
        ) from error


def known_engine_name(settings: Settings) -> str:
    """As `engine_name`.

    Raises:
        EngineUnavailable: there is none of that name.
    """
    name = engine_name(settings)
    if name not in ENGINES:
        raise EngineUnavailable(f"QUIRE_OCR_ENGINE: there is no engine {name!r}. Choose one of {', '.join(ENGINES)}.")
    return name


def engine_name(settings: Settings) -> str:
    """`QUIRE_OCR_ENGINE` or `OCR_ENGINE`, else `paddleocr` where a setting asks for what only it has, else `lean`.

    Only PaddleOCR runs on Paddle itself, downloads models, has its plugin for inference and turns single lines upright.
    """
    named = settings.quire_ocr_engine or settings.ocr_engine
    if named is not None:
        return named
    needs_paddle = (
        settings.uses_gpu
        or settings.quire_cpu_engine == "paddle"
        or settings.quire_models == "download"
        or settings.paddleocr_enable_hpi
        or settings.paddleocr_cls_model_dir is not None
    )
    return "paddleocr" if needs_paddle else "lean"
