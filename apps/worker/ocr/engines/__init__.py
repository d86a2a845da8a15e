"""OCR engines, one file each, behind `OcrEngine`."""

from ocr.engines.base import OcrEngine, PageContent, PageEngine, ReadRequest, TextLine, read_images
from ocr.engines.choose import create_engine

__all__ = ["OcrEngine", "PageContent", "PageEngine", "ReadRequest", "TextLine", "create_engine", "read_images"]
