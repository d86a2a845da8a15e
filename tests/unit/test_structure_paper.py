"""PP-StructureV3 with everything switched on: formulas, a chart, a seal, spans, a line upside down, all read by the
pipeline itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from ocr.block_lines import lines_in_blocks
from ocr.engines import PageContent, ReadRequest, TextLine
from ocr.engines.structure import StructureEngine
from quire.contracts import Block
from quire.pages import PageImage
from quire.structure.markdown import blocks_markdown
from tests.recorded_structure import RECORDED, kept, paper_page, paper_settings, read_paper

# Paddle and what it brings along warn while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

LATEX = "E=m c^{2}"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> StructureEngine:
    return StructureEngine(paper_settings(tmp_path_factory.mktemp("paper")))


@pytest.fixture(scope="module")
def read(engine: StructureEngine) -> tuple[dict[str, Any], PageContent]:
    return read_paper(engine)


@pytest.fixture(scope="module")
def content(read: tuple[dict[str, Any], PageContent]) -> PageContent:
    return read[1]


def only(content: PageContent, kind: str) -> Block:
    (block,) = (block for block in content.blocks if block.type == kind)
    return block


def test_every_part_of_the_page_is_a_block(content: PageContent):
    assert [(block.type, block.order) for block in content.blocks if block.order is not None] == [
        ("table", 0), ("heading", 1), ("paragraph", 2), ("formula", 3), ("chart", 4), ("caption", 5), ("seal", 6),
        ("footnote", 7),
    ]  # fmt: skip
    beside = {block.type for block in content.blocks if block.order is None}
    assert beside == {"header", "formula_number", "page_number"}


def test_formulas_come_out_as_latex(content: PageContent):
    assert (only(content, "formula").latex, only(content, "formula").formulas) == (LATEX, ())
    paragraph = only(content, "paragraph")
    assert paragraph.text == f"We write ${LATEX}$ for the energy\nin every case."
    assert (paragraph.latex, paragraph.formulas) == (None, (LATEX,))


def test_formulas_are_lines_at_their_places(content: PageContent):
    rows = lines_in_blocks(content.lines, content.blocks).rows
    assert ["We write", LATEX, "for the energy"] in [[line.text for line in row] for row in rows]
    place = next(line.box for line in content.lines if line.text == LATEX)
    assert place == ((195, 335), (505, 335), (505, 395), (195, 395))


def test_a_seal_is_a_block_with_its_text_and_picture(content: PageContent):
    seal = only(content, "seal")
    assert seal.text == "APPROVED"
    assert content.pictures[content.blocks.index(seal)].shape == (200, 200, 3)


def test_a_chart_is_a_picture_and_a_table_of_its_numbers(content: PageContent):
    chart = only(content, "chart")
    assert chart.table is not None
    assert [cell.text for cell in chart.table.cells] == ["Year", "Sales", "2024", "5", "2025", "8"]
    assert [cell.is_header for cell in chart.table.cells] == [True, True, False, False, False, False]
    assert content.blocks.index(chart) in content.pictures


def test_a_table_has_spans_and_lines_that_go_through_cells_are_divided(content: PageContent):
    table = only(content, "table").table
    assert table is not None
    assert table.html == (
        '<table><tr><th colspan="2">Region</th><th>Sum</th></tr><tr><td>North</td><td>1</td><td>2</td></tr>'
        "<tr><td>South</td><td>3100</td><td>4</td></tr></table>"
    )
    assert table.cells[0].box == ((4, 4), (264, 4), (264, 44), (4, 44))


def test_the_page_is_markdown_with_its_formulas(content: PageContent):
    markdown = blocks_markdown(content.blocks).split("\n\n")
    assert markdown[1:4] == [
        r"## 2\. Method", f"We write ${LATEX}$ for the energy\nin every case.", f"$$\n{LATEX}\n$$",
    ]  # fmt: skip
    assert "| Year | Sales |\n| --- | --- |\n| 2024 | 5 |\n| 2025 | 8 |" in markdown


def test_lines_know_their_words(content: PageContent):
    header = next(line for line in content.lines if line.text == "Journal of Examples")
    assert [word.text for word in header.words] == ["Journal", "of", "Examples"]
    lefts, rights = [word.box[0][0] for word in header.words], [word.box[1][0] for word in header.words]
    # Where they are drawn.
    assert lefts == pytest.approx([480, 589, 623], abs=8)
    assert rights == pytest.approx([580, 612, 738], abs=8)
    assert (header.words[0].box[0], header.words[2].box[2]) == (header.box[0], header.box[2])
    # Of a line upside down, too, which begins at the right. Of a formula nobody knows.
    turned = next(line for line in content.lines if line.text == "in thousands")
    first, second = turned.words
    assert [first.text, second.text] == ["in", "thousands"]
    assert first.box[0] == turned.box[0] > first.box[1] > second.box[0] > second.box[1] == turned.box[1]
    assert {line.text for line in content.lines if not line.words} == {LATEX}


def footnote(lines: Sequence[TextLine]) -> TextLine:
    return min(lines, key=lambda line: abs(line.box[0][1] - 882))


def test_lines_are_turned_where_that_is_asked_for(content: PageContent):
    turned = footnote(content.lines)
    assert turned.text == "in thousands"
    # It begins at its own top left, which is the bottom right of where it stands. The others stand upright.
    assert turned.box[0][0] > turned.box[1][0]
    assert sum(line.box[0][0] > line.box[1][0] for line in content.lines) == 1


def test_lines_are_left_as_they_are_for_somebody_else(engine: StructureEngine, content: PageContent):
    # The same pipeline, which has the model now; of what is on the page, the part with the footnote alone is read.
    lines = engine._pipeline.paddlex_pipeline.general_ocr_pipeline
    part = PageImage(1, np.ascontiguousarray(paper_page().pixels[850:920]))

    class OnlyLines:
        def predict(self, pages: list[Any], *, use_textline_orientation: bool, **_: object) -> list[Any]:
            found = lines.predict(pages, use_textline_orientation=use_textline_orientation)
            return [SimpleNamespace(json={"res": {"overall_ocr_res": each.json["res"]}}) for each in found]

    with mock.patch.object(engine, "_pipeline", OnlyLines()):
        (plain,) = engine.recognize_pages([part], ReadRequest(("en",)))
        (turned,) = engine.recognize_pages([part], ReadRequest(("en",), textline_orientation=True))
    assert [line.text for line in turned.lines] == ["in thousands"]
    assert "in thousands" not in [line.text for line in plain.lines]
    assert all(line.box[0][0] < line.box[1][0] for line in plain.lines)


def test_the_recorded_result_is_what_the_pipeline_says(read: tuple[dict[str, Any], PageContent]):
    recorded = json.loads(Path(RECORDED).read_text(encoding="utf-8"))
    made = json.loads(json.dumps(kept(read[0])))
    assert made.keys() == recorded.keys()
    # Confidences and places are of real networks: they are a little different on other machines.
    for key in ("model_settings", "parsing_res_list", "table_res_list", "formula_res_list"):
        assert made[key] == recorded[key]
    for key in ("rec_texts", "textline_orientation_angles"):
        assert made["overall_ocr_res"][key] == recorded["overall_ocr_res"][key]
