"""Records what PP-StructureV3 says of `paper_image`, as far as it is mapped: `python -m tests.recorded_structure`.

The models are those of `paper_models`. Without a part of the result that nobody reads the file is a tenth as large.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np

from ocr.engines import PageContent, ReadRequest, opencv_alias
from ocr.engines.structure import StructureEngine
from ocr.engines.structure.mapping import content_of
from quire.pages import PageImage
from quire.settings import Settings
from tests.structured_pages import paper_image, paper_models

RECORDED: Final = Path(__file__).parent / "unit" / "pp_structurev3_result.json"
# What the mapping reads: keys of the result, and of what is there.
_KEPT: Final[dict[str, tuple[str, ...]]] = {
    "model_settings": ("use_chart_recognition",),
    "parsing_res_list": ("block_label", "block_content", "block_bbox"),
    "layout_det_res": ("boxes",),
    "overall_ocr_res": (
        "dt_polys", "textline_orientation_angles", "rec_polys", "rec_texts", "rec_scores", "text_word",
        "text_word_boxes",
    ),
    "table_res_list": ("cell_box_list", "pred_html"),
    "formula_res_list": ("rec_formula",),
}  # fmt: skip


def paper_settings(folder: Path) -> Settings:
    """Settings of a worker with the models of `paper_models`."""
    opencv_alias.install()
    return Settings(quire_model_dir=folder, paddleocr_pipeline_config=paper_models(folder), quire_ocr_threads=2)


def paper_page() -> PageImage:
    return PageImage(1, np.asarray(paper_image()))


def read_paper(reader: StructureEngine) -> tuple[dict[str, Any], PageContent]:
    """PP-StructureV3's result, lines turned upright, and what is made of it."""
    with mock.patch("ocr.engines.structure.engine.content_of", wraps=content_of) as mapped:
        (content,) = reader.recognize_pages([paper_page()], ReadRequest(("en",), textline_orientation=True))
    return mapped.call_args.args[0], content


def kept(result: dict[str, Any]) -> dict[str, Any]:
    """The part of a result that is mapped."""
    return {key: _parts(result[key], keys) for key, keys in _KEPT.items()}


def _parts(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_parts(each, keys) for each in value]
    return {key: _rounded(value[key]) for key in keys}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def record() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as folder:
        result, _ = read_paper(StructureEngine(paper_settings(Path(folder))))
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in kept(result).items())
    RECORDED.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
