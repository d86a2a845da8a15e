"""Results of PP-StructureV3 as its documentation describes them, mapped to blocks: what no small model here makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocr.engines.structure.mapping import TYPES, content_of
from quire.contracts import Block
from quire.structure.tables import MOST_COLUMNS, grid

RECORDED = Path(__file__).parent / "pp_structurev3_result.json"
PAPER = np.full((1000, 800, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return made


def parsed(label: str, content: str = "", bbox: tuple[float, ...] = (10, 10, 200, 60)) -> dict[str, Any]:
    return {
        "block_label": label,
        "block_content": content,
        "block_bbox": list(bbox),
        "block_id": 0,
        "block_order": None,
    }


def only(*blocks: dict[str, Any], **more: Any) -> tuple[Block, ...]:
    return content_of({"parsing_res_list": list(blocks), **more}, PAPER).blocks


def test_every_part_of_a_recorded_result_has_its_place(recorded: dict[str, Any]):
    content = content_of(recorded, PAPER)
    assert [block.type for block in content.blocks] == [
        "table", "heading", "paragraph", "formula", "chart", "caption", "header", "formula_number", "seal", "footnote",
        "page_number",
    ]  # fmt: skip
    assert [block.order for block in content.blocks] == [0, 1, 2, 3, 4, 5, None, None, 6, 7, None]
    assert [line.text for line in content.lines][:2] == ["Region", "Sum"]
    assert content.lines[-1].text == "E=m c^{2}"
    assert sorted(content.pictures) == [4, 8]
    assert content.blocks[1].confidence == 0.91


def test_a_formula_is_latex_without_its_signs(recorded: dict[str, Any]):
    assert content_of(recorded, PAPER).blocks[3].latex == "E=m c^{2}"
    assert only(parsed("formula", "$a$"))[0].latex == "a"
    assert only(parsed("formula", "$$a$$"))[0].latex == "a"
    assert only(parsed("formula", "  "))[0].latex is None


def test_formulas_within_text_are_told_from_amounts_of_money():
    found = [{"rec_formula": "x"}, {"rec_formula": "y"}, {"rec_formula": "x"}, {"rec_formula": ""}]
    (block,) = only(parsed("text", "From $5 to $6, and $x$ of them $$"), formula_res_list=found)
    assert (block.formulas, block.latex) == (("x",), None)


def test_a_recorded_table_has_spans_heads_and_places(recorded: dict[str, Any]):
    table = content_of(recorded, PAPER).blocks[0].table
    assert table is not None
    assert (table.rows, table.columns) == (3, 3)
    assert table.cells[0].column_span == 2
    assert [cell.is_header for cell in table.cells] == [True, True, False, False, False, False, False, False]
    assert table.cells[1].box == ((264, 4), (404, 4), (404, 44), (264, 44))


def test_a_cell_of_four_corners_is_the_rectangle_around_them(recorded: dict[str, Any]):
    result = json.loads(json.dumps(recorded))
    result["table_res_list"][0]["cell_box_list"][1] = [264, 6, 404, 4, 402, 44, 264, 42]
    table = content_of(result, PAPER).blocks[0].table
    assert table is not None
    assert table.cells[1].box == ((264, 4), (404, 4), (404, 44), (264, 44))


def test_cells_without_a_box_each_have_none(recorded: dict[str, Any]):
    result = json.loads(json.dumps(recorded))
    result["table_res_list"][0]["cell_box_list"].pop()
    table = content_of(result, PAPER).blocks[0].table
    assert table is not None
    assert {cell.box for cell in table.cells} == {None}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Year | Sales\n2024 | 5", [["Year", "Sales"], ["2024", "5"]]),
        ("| a | b |\n|c|", [["a", "b"], ["c", ""]]),
        ("A title\na | b", [["a", "b"]]),
        ("<b>|=1+1", [["<b>", "=1+1"]]),
        ("no numbers", None),
        ("", None),
    ],
)
def test_a_chart_is_a_table_where_its_model_wrote_one(text: str, rows: list[list[str]] | None):
    (chart,) = only(parsed("chart", text), model_settings={"use_chart_recognition": True})
    assert (None if chart.table is None else grid(chart.table)) == rows
    # Without the model there are but the lines that stand in it.
    assert only(parsed("chart", text))[0].table is None


def test_a_chart_has_no_more_places_than_a_table_may():
    (chart,) = only(parsed("chart", "|".join("a" * 5000)), model_settings={"use_chart_recognition": True})
    assert chart.table is not None
    assert chart.table.columns == MOST_COLUMNS


def test_lines_are_upside_down_by_their_place_and_not_by_their_number():
    # Lines that are read too badly are left out, and what is said of the others is not.
    polygons = [[[10, y], [110, y], [110, y + 20], [10, y + 20]] for y in (10, 50, 90)]
    ocr = {
        "dt_polys": polygons, "textline_orientation_angles": [0, 0, 1],
        "rec_polys": [polygons[0], polygons[2]], "rec_texts": ["first", "third"], "rec_scores": [0.9, 0.9],
    }  # fmt: skip
    first, third = content_of({"overall_ocr_res": ocr}, PAPER).lines
    assert (first.box[0], third.box[0]) == ((10, 10), (110, 110))


def test_tables_that_are_alike_get_their_own_places():
    html = "<table><tr><td>1</td></tr></table>"
    found = [{"pred_html": html, "cell_box_list": [[x, 0, x + 5, 5]]} for x in (10, 300)]
    first, second = only(
        parsed("table", html, (10, 0, 20, 9)), parsed("table", html, (300, 0, 310, 9)), table_res_list=found
    )
    assert first.table is not None
    assert second.table is not None
    assert (first.table.cells[0].box[0], second.table.cells[0].box[0]) == ((10, 0), (300, 0))


def test_a_table_that_was_not_recognised_is_a_block_all_the_same():
    (block,) = only(parsed("table", "Item 12"))
    assert (block.type, block.table, block.text) == ("table", None, "Item 12")


@pytest.mark.parametrize("label", [*TYPES, "something_new"])
def test_every_label_of_the_layout_models_is_a_type(label: str):
    (block,) = only(parsed(label, "text"))
    assert block.type == TYPES.get(label, "other")
    assert block.label == label


def test_every_label_that_paddlex_knows_has_a_type():
    from ocr.engines import opencv_alias

    opencv_alias.install()
    from paddlex.inference.pipelines.layout_parsing.setting import BLOCK_LABEL_MAP
    from paddlex.modules.base.utils.pdparams2safetensors.inference_meta import build_inference_meta

    known = {label for labels in BLOCK_LABEL_MAP.values() for label in labels}
    known |= set(build_inference_meta("PP-DocLayout_plus-L")["label_list"])
    assert known <= set(TYPES)


def test_boxes_end_at_the_pages_edges():
    (block,) = only(parsed("text", "a", (-5, 900, 900, 1100)))
    assert block.polygon == ((0, 900), (800, 900), (800, 1000), (0, 1000))


@pytest.mark.parametrize("bbox", [(900, 10, 950, 20), (10, 10, 10, 20), (50, 50, 20, 20), (float("nan"), 0, 10, 10)])
def test_a_box_with_nothing_in_it_is_none(bbox: tuple[float, ...]):
    assert only(parsed("text", "a", bbox)) == ()


def test_what_no_text_should_have_is_left_out():
    (block,) = only(parsed("text", "a\x00b\ud800\nc"))
    assert block.text == "ab\nc"


def test_an_empty_result_is_an_empty_page():
    content = content_of(
        {"parsing_res_list": [], "overall_ocr_res": {"rec_polys": [], "rec_texts": [], "rec_scores": []}}, PAPER
    )
    assert (content.lines, content.blocks, dict(content.pictures)) == ((), (), {})
