"""OCR engines, one file each, behind `OcrEngine`."""

from ocr.engines.base import OcrEngine, TextLine, create_engine

__all__ = ["OcrEngine", "TextLine", "create_engine"]
