"""Pages with blocks, made by hand, and a page image with the models that see its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw, ImageFont

from quire.contracts import Block, BlockType, Detection, PageText, Table, TableCell
from quire.pages import PageImage
from quire.structure.tables import make_table
from tests.structure_models import (
    chart_reader,
    classifier,
    classifier_of_red,
    description,
    detector,
    formula_recogniser,
    seal_detector,
    table_structure,
)
from tests.unit.exported import box

SIZE = (900, 1200)
TITLE = "Quarterly report"
SENTENCE = "Sales grew in every region this year."
ROWS = (("Item", "Price"), ("Apples", "12"), ("Pears", "7"))
PICTURE = (120, 620, 420, 920)


def table_of(*rows: Sequence[str], heads: int = 0) -> Table:
    """A table of these texts; the first `heads` rows are column heads."""
    return make_table(
        TableCell(row=row, column=column, text=text, is_header=row < heads)
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    )


def block(
    kind: BlockType, text: str = "", *, top: float = 100, left: float = 50, right: float = 650, **more: Any
) -> Block:
    return Block(type=kind, label=kind, polygon=box(left, top, right, top + 40), text=text, **more)


def page_of(*blocks: Block, number: int = 1, **fields: Any) -> PageText:
    """A page of these blocks, the text of each a line."""
    lines, place = [each.text for each in blocks if each.text], box(50, 100, 650, 140)
    known: dict[str, Any] = {
        "page_number": number, "width": 700, "height": 1000, "rotation": 0, "source": "ocr", "engine": "test 1",
        "text": "\n".join(lines), "blocks": blocks,
        "detections": [Detection(text=text, box=place, confidence=0.9, page_number=number) for text in lines],
    }  # fmt: skip
    return PageText(**(known | fields))


def report_image() -> Image.Image:
    """A title, a sentence, a table of two columns, a red picture, and the page's number."""
    page = Image.new("RGB", SIZE, "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(36)
    draw.text((100, 60), TITLE, font=ImageFont.load_default(54), fill=0)
    draw.text((100, 180), SENTENCE, font=font, fill=0)
    for row, texts in enumerate(ROWS):
        for column, text in enumerate(texts):
            left, top = 100 + 250 * column, 300 + 80 * row
            draw.rectangle((left, top, left + 250, top + 80), outline=0, width=2)
            draw.text((left + 20, top + 18), text, font=font, fill=0)
    draw.rectangle(PICTURE, fill=(200, 40, 40))
    draw.text((430, 1120), "7", font=font, fill=0)
    return page


def report_page(number: int = 1) -> PageImage:
    return PageImage(number, np.asarray(report_image()))


def report_models(folder: Path) -> Path:
    """Models below `folder` that see the parts of `report_image`; the YAML file that switches off all others."""
    labels = {label: index for index, label in enumerate(description("PP-DocLayout_plus-L")["label_list"])}
    parts: tuple[tuple[str, float, float, float, float, float], ...] = (
        ("doc_title", 0.95, 95, 55, 600, 130),
        ("text", 0.9, 95, 175, 760, 230),
        ("table", 0.97, 98, 298, 602, 542),
        ("image", 0.93, 118, 618, 422, 922),
        ("number", 0.8, 425, 1115, 460, 1165),
    )
    detector(folder, "PP-DocLayout_plus-L", [(labels[each[0]], *each[1:]) for each in parts])
    detector(folder, "PP-DocBlockLayout", [(0, 0.9, 90, 50, 800, 1180)])
    classifier(folder, "PP-LCNet_x1_0_table_cls", (0.99, 0.01))
    classifier(folder, "PP-LCNet_x1_0_doc_ori", (0.97, 0.01, 0.01, 0.01))
    cells = [(0, 0.9, 2 + 250 * c, 2 + 80 * r, 252 + 250 * c, 82 + 80 * r) for r in range(3) for c in range(2)]
    tokens = ["<tr>", "<td></td>", "<td></td>", "</tr>"] * len(ROWS)
    for name in ("RT-DETR-L_wired_table_cell_det", "RT-DETR-L_wireless_table_cell_det"):
        detector(folder, name, cells)
    for name in ("SLANeXt_wired", "SLANet_plus"):
        table_structure(folder, name, tokens, [[0.1] * 8] * len(tokens))
    return write_config(folder / "PP-StructureV3.yaml")


PAPER_SIZE = (800, 1000)
LATEX = ("E", "=", "m", "c", "^", "{", "2", "}")
CHART = ("Year | Sales", "\n2024 | 5", "\n2025 | 8")
# Label, confidence and sides of each part of `paper_image`.
PAPER_PARTS: tuple[tuple[str, float, float, float, float, float], ...] = (
    ("header", 0.9, 470, 15, 780, 55),
    ("paragraph_title", 0.91, 95, 150, 400, 205),
    ("text", 0.92, 95, 215, 705, 315),
    ("formula", 0.7, 215, 220, 345, 265),
    ("formula", 0.93, 195, 335, 505, 395),
    ("formula_number", 0.8, 595, 340, 660, 390),
    ("table", 0.97, 2, 2, 406, 126),
    ("chart", 0.9, 100, 560, 400, 740),
    ("figure_title", 0.88, 95, 750, 405, 800),
    ("seal", 0.93, 550, 600, 750, 800),
    ("footnote", 0.85, 95, 860, 705, 910),
    ("number", 0.8, 380, 950, 450, 995),
)


def paper_image() -> Image.Image:
    """A page of a paper: formulas, a table with a cell of two columns, a chart, a seal, a red footnote upside down."""
    page = Image.new("RGB", PAPER_SIZE, "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(28)
    draw.text((480, 18), "Journal of Examples", font=font, fill=0)
    draw.text((100, 153), "2. Method", font=ImageFont.load_default(42), fill=0)
    for left, top, text in (
        (100, 225, "We write"), (225, 225, "E=mc2"), (360, 225, "for the energy"), (100, 270, "in every case."),
        (220, 347, "E = mc2"), (605, 347, "(1)"), (100, 755, "Figure 1: Growth"), (400, 955, "12"),
    ):  # fmt: skip
        draw.text((left, top), text, font=font, fill=0)
    for row, texts in enumerate((("Region", "", "Sum"), ("North", "1", "2"), ("", "", "4"))):
        for column, text in enumerate(texts):
            left, top = (4, 144, 264)[column], 4 + 40 * row
            draw.text((left + 15, top + 2), text, font=font, fill=0)
    # Found as one line, which goes through two cells.
    draw.text((40, 82), "South 3100", font=ImageFont.load_default(36), fill=0)
    for left, top, right in PAPER_CELLS:
        draw.rectangle((left, top, right, top + 40), outline=0, width=1)
    for index, height in enumerate((60, 110)):
        draw.rectangle((150 + 100 * index, 720 - height, 210 + 100 * index, 720), fill=(60, 120, 60))
    draw.ellipse((555, 605, 745, 795), outline=(0, 0, 160), width=4)
    draw.text((568, 682), "APPROVED", font=ImageFont.load_default(32), fill=(0, 0, 160))
    note = Image.new("RGB", (240, 40), "white")
    ImageDraw.Draw(note).text((5, 2), "in thousands", font=ImageFont.load_default(30), fill=(230, 0, 0))
    page.paste(note.rotate(180), (100, 865))
    return page


# Left, top and right of each; all are 40 pixels high.
PAPER_CELLS = (
    (4, 4, 264), (264, 4, 404), (4, 44, 144), (144, 44, 264), (264, 44, 404), (4, 84, 144), (144, 84, 264),
    (264, 84, 404),
)  # fmt: skip


def paper_models(folder: Path) -> Path:
    """Models below `folder`, one of every kind, that see the parts of `paper_image`; the YAML file that has all on."""
    report_models(folder)
    labels = {label: index for index, label in enumerate(description("PP-DocLayout_plus-L")["label_list"])}
    detector(folder, "PP-DocLayout_plus-L", [(labels[each[0]], *each[1:]) for each in PAPER_PARTS])
    detector(folder, "PP-DocBlockLayout", [(0, 0.9, 1, 1, 790, 990)])
    cells = [(0, 0.9, left - 2, top - 2, right - 2, top + 38) for left, top, right in PAPER_CELLS]
    plain_row = ["<tr>", *["<td></td>"] * 3, "</tr>"]
    tokens = ["<thead>", "<tr>", "<td", ' colspan="2"', ">", "</td>", "<td></td>", "</tr>", "</thead>", "<tbody>"]
    tokens += [*plain_row, *plain_row, "</tbody>"]
    for name in ("RT-DETR-L_wired_table_cell_det", "RT-DETR-L_wireless_table_cell_det"):
        detector(folder, name, cells)
    for name in ("SLANeXt_wired", "SLANet_plus"):
        table_structure(folder, name, tokens, [[0.1] * 8] * len(tokens))
    formula_recogniser(folder, LATEX)
    seal_detector(folder, (0.38, 0.6))
    chart_reader(folder, CHART)
    classifier_of_red(folder, "PP-LCNet_x1_0_textline_ori")
    path = write_config(
        folder / "PP-StructureV3.yaml",
        use_seal_recognition=True, use_formula_recognition=True, use_chart_recognition=True,
    )  # fmt: skip
    config = yaml.safe_load(path.read_text())
    # Files of earlier versions have no model that turns tables.
    del config["SubPipelines"]["TableRecognition"]["SubModules"]["TableOrientationClassify"]
    seal = config["SubPipelines"]["SealRecognition"]["SubPipelines"]["SealOCR"]
    seal["SubModules"]["TextRecognition"]["model_name"] = "PP-OCRv6_small_rec"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def write_config(path: Path, **changed: Any) -> Path:
    """PaddleX's own file with the text models of this repository, and without what there are no small models for."""
    from paddlex.inference import load_pipeline_config

    config = yaml.safe_load(yaml.safe_dump(plain(load_pipeline_config("PP-StructureV3"))))
    ocr = config["SubPipelines"]["GeneralOCR"]
    for pipeline in (ocr, config["SubPipelines"]["TableRecognition"]["SubPipelines"]["GeneralOCR"]):
        pipeline["use_textline_orientation"] = False
        pipeline["SubModules"]["TextDetection"] |= {
            "model_name": "PP-OCRv6_small_det", "limit_side_len": 960, "limit_type": "max",
        }  # fmt: skip
        pipeline["SubModules"]["TextRecognition"]["model_name"] = "PP-OCRv6_small_rec"
    config["use_seal_recognition"] = config["use_formula_recognition"] = config["use_chart_recognition"] = False
    path.write_text(yaml.safe_dump(config | changed), encoding="utf-8")
    return path


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
