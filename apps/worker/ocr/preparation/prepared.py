"""One page made ready to be read, and what is found on it put back on the page as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ocr import turns
from ocr.engines.base import PageContent, TextLine
from ocr.preparation.flattening import Grid
from quire.contracts import Block, Box, PageTransform, Point, Table
from quire.pages import PageImage
from quire.structure.tables import make_table


@dataclass(frozen=True)
class PreparedPage:
    """`image` is what is read; `width` and `height` are the pixels of the page image that it was made of."""

    image: PageImage
    width: int
    height: int
    quarters: int = 0
    confidence: float | None = None
    grid: Grid | None = None

    @property
    def transform(self) -> PageTransform:
        """As it is stored with the page."""
        return PageTransform.model_validate(
            {
                "turned": self.quarters * 90,
                "turn_confidence": None if self.confidence is None else round(self.confidence, 4),
                "grid": None if self.grid is None else self.grid.rounded(),
            }
        )

    def point(self, point: Point) -> Point:
        """A point of `image` on the page image."""
        flat = point if self.grid is None else self.grid.before(point)
        x, y = turns.put_back(flat, self.width, self.height, self.quarters)
        return min(max(x, 0.0), float(self.width)), min(max(y, 0.0), float(self.height))

    def content(self, content: PageContent) -> PageContent:
        """What was read, with every place on the page image."""
        if self.quarters == 0 and self.grid is None:
            return replace(content, transform=self.transform)
        return replace(
            content,
            lines=tuple(map(self._line, content.lines)),
            blocks=tuple(map(self._block, content.blocks)),
            transform=self.transform,
        )

    def _line(self, line: TextLine) -> TextLine:
        words = tuple(replace(word, box=self._box(word.box)) for word in line.words)
        return replace(line, box=self._box(line.box), words=words)

    def _box(self, box: Box) -> Box:
        a, b, c, d = map(self.point, box)
        return a, b, c, d

    def _block(self, block: Block) -> Block:
        table = None if block.table is None else self._table(block.table)
        return block.model_copy(update={"polygon": tuple(map(self.point, block.polygon)), "table": table})

    def _table(self, table: Table) -> Table:
        return make_table(
            cell if cell.box is None else cell.model_copy(update={"box": self._box(cell.box)}) for cell in table.cells
        )
