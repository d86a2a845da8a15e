"""From PP-StructureV3's result, the object `res` of its JSON, to a page's content."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ocr.control_characters import without_controls
from ocr.engines.base import PageContent, TextLine
from ocr.engines.paddle import line_box
from ocr.engines.word_places import with_words
from quire.contracts import Block, BlockType, Box, Table, TableCell
from quire.structure.markdown import BESIDE_THE_TEXT, PICTURES
from quire.structure.tables import MOST_COLUMNS, MOST_ROWS, make_table, table_from_html

Pixels = npt.NDArray[np.uint8]
Sides = tuple[float, float, float, float]

# Every label of the layout models that PP-StructureV3 takes; one that is not here is `other`.
TYPES: Final[dict[str, BlockType]] = {
    "doc_title": "title",
    "paragraph_title": "heading",
    "abstract_title": "heading",
    "content_title": "heading",
    "reference_title": "heading",
    "refer_title": "heading",
    "text": "paragraph",
    "vertical_text": "paragraph",
    "abstract": "abstract",
    "content": "contents",
    "reference": "reference",
    "reference_content": "reference",
    "list": "list",
    "table": "table",
    "formula": "formula",
    "display_formula": "formula",
    "inline_formula": "formula",
    "formula_number": "formula_number",
    "image": "figure",
    "figure": "figure",
    "flowchart": "figure",
    "header_image": "header",
    "footer_image": "footer",
    "chart": "chart",
    "seal": "seal",
    "figure_title": "caption",
    "table_title": "caption",
    "chart_title": "caption",
    "figure_table_chart_title": "caption",
    "algorithm": "code",
    "header": "header",
    "footer": "footer",
    "footnote": "footnote",
    "vision_footnote": "footnote",
    "number": "page_number",
    "aside_text": "aside",
}

# Two boxes of one thing, of the layout model and of the parsed page, overlap by this share of both together.
_SAME: Final = 0.5


def content_of(result: dict[str, Any], pixels: Pixels) -> PageContent:
    """The content of a page whose image is `pixels`, RGB. Nothing of `result` is trusted to be within the page."""
    height, width = pixels.shape[:2]
    blocks = tuple(_blocks(result, width, height))
    pictures = {
        index: cut for index, block in enumerate(blocks) if block.type in PICTURES and (cut := _cut(pixels, block)).size
    }
    return PageContent(tuple(_lines(result.get("overall_ocr_res") or {})), blocks, pictures=pictures)


def _lines(ocr: dict[str, Any]) -> Iterator[TextLine]:
    # Of every line that was found, also those that were not read well enough; of a formula there is none.
    angles = zip(ocr.get("dt_polys") or (), ocr.get("textline_orientation_angles") or (), strict=False)
    upside_down = {_key(polygon) for polygon, angle in angles if angle == 1}
    # Formulas and what is read in single blocks come last and have no words.
    words = chain(zip(ocr.get("text_word") or (), ocr.get("text_word_boxes") or (), strict=False), repeat(((), ())))
    for polygon, text, score, (pieces, boxes) in zip(
        ocr.get("rec_polys", ()), ocr.get("rec_texts", ()), ocr.get("rec_scores", ()), words, strict=False
    ):
        if text.strip():
            confidence = min(max(float(score), 0.0), 1.0)
            box = line_box(polygon, text, upside_down=_key(polygon) in upside_down)
            yield with_words(TextLine(text, box, confidence), polygon, pieces, boxes)


def _key(polygon: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, point)) for point in polygon)


def _blocks(result: dict[str, Any], width: int, height: int) -> Iterator[Block]:
    tables = list(result.get("table_res_list") or ())
    layout = (result.get("layout_det_res") or {}).get("boxes") or ()
    reads_charts = bool((result.get("model_settings") or {}).get("use_chart_recognition"))
    formulas = [_text(str(each.get("rec_formula") or "")) for each in result.get("formula_res_list") or ()]
    order = 0
    for parsed in result.get("parsing_res_list") or ():
        sides = _within(parsed["block_bbox"], width, height)
        if sides is None:
            continue
        label = str(parsed["block_label"])
        kind = TYPES.get(label, "other")
        text = _text(str(parsed.get("block_content") or ""))
        table = _table(text, tables) if kind == "table" else None
        if kind == "chart" and reads_charts:
            table = table_of_chart(text)
        latex = _latex(text) if kind == "formula" else None
        beside = kind in BESIDE_THE_TEXT
        yield Block(
            type=kind,
            label=label,
            polygon=_corners(sides),
            order=None if beside else order,
            # What is read in a figure is doubtful: it has the lines that are sure enough.
            text="" if table is not None or kind == "figure" else latex or text,
            confidence=_confidence(sides, layout),
            table=table,
            latex=latex,
            formulas=() if latex else tuple(dict.fromkeys(each for each in formulas if each and f"${each}$" in text)),
        )
        order += not beside


def _table(html: str, found: list[dict[str, Any]]) -> Table | None:
    """The table of this HTML; None where the block has none, as where tables are not recognised."""
    if "<table" not in html:
        return None
    match = next((index for index, each in enumerate(found) if str(each.get("pred_html")) == html), None)
    boxes: Sequence[Any] = () if match is None else found.pop(match).get("cell_box_list", ())
    return table_from_html(
        html, [_corners((float(a), float(b), float(c), float(d))) for a, b, c, d in map(_upright, boxes)]
    )


def table_of_chart(text: str) -> Table | None:
    """The numbers of a chart, which its model writes with a bar between two cells; None where it wrote none."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if "|" in line]
    cells = (
        TableCell(row=row, column=column, text=cell.strip(), is_header=row == 0)
        for row, found in enumerate(rows[:MOST_ROWS])
        for column, cell in enumerate(found[:MOST_COLUMNS])
    )
    return make_table(cells) if rows else None


def _upright(box: Sequence[Any]) -> Sequence[Any]:
    """Left, top, right, bottom of a cell, which some table models give as four corners."""
    return (min(box[0::2]), min(box[1::2]), max(box[0::2]), max(box[1::2])) if len(box) == 8 else box


def _latex(text: str) -> str | None:
    latex = text.strip()
    for sign in ("$$", "$"):
        if latex.startswith(sign) and latex.endswith(sign) and len(latex) >= 2 * len(sign):
            latex = latex[len(sign) : -len(sign)].strip()
    return latex or None


def _confidence(sides: Sides, layout: Sequence[dict[str, Any]]) -> float | None:
    """The layout model's, of the box that this block was made of."""
    best = max(layout, key=lambda box: _overlap(sides, box["coordinate"]), default=None)
    if best is None or _overlap(sides, best["coordinate"]) < _SAME:
        return None
    return round(min(max(float(best["score"]), 0.0), 1.0), 4)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two rectangles."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(width * height / (both - width * height))


def _within(box: Sequence[Any], width: int, height: int) -> Sides | None:
    """A box cut off at the page's edges, to a hundredth of a pixel; None where nothing is left of it."""
    left, top, right, bottom = (float(value) for value in box)
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    left, right = max(0.0, left), min(float(width), right)
    top, bottom = max(0.0, top), min(float(height), bottom)
    if left >= right or top >= bottom:
        return None
    return round(left, 2), round(top, 2), round(right, 2), round(bottom, 2)


def _corners(sides: Sides) -> Box:
    left, top, right, bottom = sides
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _cut(pixels: Pixels, block: Block) -> Pixels:
    xs, ys = [int(x) for x, _ in block.polygon], [int(y) for _, y in block.polygon]
    return np.ascontiguousarray(pixels[min(ys) : max(ys), min(xs) : max(xs)])


def _text(text: str) -> str:
    return "\n".join(without_controls(line) for line in text.splitlines()).strip()
