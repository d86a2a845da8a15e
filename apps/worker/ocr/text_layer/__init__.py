"""The text a PDF page carries itself: extracted with boxes, judged, and where it has to be completed by OCR."""

from ocr.text_layer.layer import TextLayer, read_text_layer
from ocr.text_layer.regions import Rectangle, Region

__all__ = ["Rectangle", "Region", "TextLayer", "read_text_layer"]
