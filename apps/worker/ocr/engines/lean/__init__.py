"""PP-OCR's networks in OpenVINO or ONNX Runtime, with everything around them our own."""

from ocr.engines.lean.engine import LeanEngine

__all__ = ["LeanEngine"]
