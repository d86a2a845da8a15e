"""Which lines belong to which block, and the order in which a page of blocks is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocr.engines import TextLine
from ocr.reading_order import read_rows
from quire.contracts import Block


@dataclass(frozen=True)
class ReadBlocks:
    """`rows` are the page's lines in the order of reading; `blocks` know theirs by their index in that order."""

    rows: list[list[TextLine]]
    blocks: tuple[Block, ...]


def lines_in_blocks(lines: Sequence[TextLine], blocks: Sequence[Block]) -> ReadBlocks:
    """Lines block by block, in rows within each; a line is in the smallest block that its centre is in.

    Lines in no block come last. A block that the engine gave no text has that of its lines.
    """
    inside: list[list[TextLine]] = [[] for _ in blocks]
    outside: list[TextLine] = []
    extents = [_extent(block) for block in blocks]
    for line in lines:
        found = _smallest_around(line, extents)
        (outside if found is None else inside[found]).append(line)
    rows: list[list[TextLine]] = []
    filled: list[Block] = []
    count = 0
    for block, own in zip(blocks, inside, strict=True):
        own_rows = read_rows([(line, line.box) for line in own])
        rows += own_rows
        text = block.text or "\n".join(" ".join(line.text for line in row) for row in own_rows)
        filled.append(block.model_copy(update={"lines": tuple(range(count, count + len(own))), "text": text}))
        count += len(own)
    rows += read_rows([(line, line.box) for line in outside])
    return ReadBlocks(rows, tuple(filled))


def _extent(block: Block) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in block.polygon], [y for _, y in block.polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _smallest_around(line: TextLine, extents: Sequence[tuple[float, float, float, float]]) -> int | None:
    x = sum(x for x, _ in line.box) / 4
    y = sum(y for _, y in line.box) / 4
    around = [
        ((right - left) * (bottom - top), index)
        for index, (left, top, right, bottom) in enumerate(extents)
        if left <= x <= right and top <= y <= bottom
    ]
    return min(around)[1] if around else None
