"""Which engine the settings choose."""

from __future__ import annotations

from ocr.engines.base import OcrEngine
from quire.settings import Settings


def create_engine(settings: Settings, threads: int | None = None) -> OcrEngine:
    """The engine these settings choose, not yet loaded. `threads` are those of one inference (default: all cores)."""
    from ocr.engines.paddle import PaddleEngine

    return PaddleEngine(settings, threads)
