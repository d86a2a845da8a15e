"""OCR engines, one file each, behind `OcrEngine`."""

from ocr.engines.base import OcrEngine, TextLine
from ocr.engines.choose import create_engine

__all__ = ["OcrEngine", "TextLine", "create_engine"]
