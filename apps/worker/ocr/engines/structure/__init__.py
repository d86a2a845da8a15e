"""PP-StructureV3 as an engine: blocks, tables, formulas and pictures besides lines."""

from ocr.engines.structure.engine import StructureEngine

__all__ = ["StructureEngine"]
