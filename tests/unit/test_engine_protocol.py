"""What an engine has to do, and no more: the example of docs/extending.md, and engines that see more than lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import ocr.engines
from ocr.engines import OcrEngine, PageContent, PageEngine, ReadRequest, TextLine, create_engine
from ocr.engines.by_options import Engines, engine_for
from ocr.engines.choose import ENGINES
from ocr.read import ReadOptions, read_page
from quire.cli.samples import PHOTO, sample_photo
from quire.contracts import Block, OcrOptions, PageText
from quire.errors import EngineUnavailable
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.engines import InstantEngine
from tests.pdfs import write_text_pdf
from tests.unit.exported import box

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine of the page, registered as the page says; its name."""
    section = EXTENDING.read_text(encoding="utf-8").split("## An OCR engine")[1].split("\n## ")[0]
    code, registration = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(code.splitlines()) <= 45
    found = re.fullmatch(r'\s*"(\w+)": "(ocr\.engines\.(\w+):\w+)",\s*', registration)
    assert found is not None
    (tmp_path / f"{found[3]}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(ocr.engines, "__path__", [*ocr.engines.__path__, str(tmp_path)])
    monkeypatch.setitem(ENGINES, found[1], found[2])
    return found[1]


@pytest.mark.filterwarnings("ignore")
def test_the_engine_of_the_documentation_reads_a_page(example: str, tmp_path: Path):
    engine = create_engine(Settings(quire_ocr_engine=example))
    engine.warm_up()
    page = read(engine, tmp_path, sample_photo())
    assert [line.replace(" ", "") for line in page.text.splitlines()] == [line.replace(" ", "") for line in PHOTO]
    assert page.engine.startswith(f"{example} ")
    assert page.confidence is not None
    assert engine.recognize([PageImage(1, np.full((90, 90, 3), 255, np.uint8))], ["en"]) == [[]]


def test_an_engine_that_is_not_registered_is_named_with_those_that_are():
    with pytest.raises(EngineUnavailable, match=r"no engine 'abacus'.*lean, paddleocr"):
        create_engine(Settings(quire_ocr_engine="abacus"))


def read(engine: OcrEngine, folder: Path, content: bytes, **options: Any) -> PageText:
    path = folder / "document"
    path.write_bytes(content)
    resolved = ReadOptions.resolve(OcrOptions(**options), Settings())
    with open_source(path) as source:
        return read_page(source, 1, resolved, engine_for(engine, resolved))


class WriterEngine:
    """Writes down what a page says without knowing where, as GOT-OCR does."""

    name = "writer"
    version = "1"

    def __init__(self) -> None:
        self.requests: list[ReadRequest] = []

    def warm_up(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        return [[TextLine("part", box(0, 0, image.width, image.height), 1.0)] for image in images]

    def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
        self.requests.append(request)
        return [PageContent((), text="One\n  two\x00", markdown="# One\n\n    two\x00\n") for _ in images]


def test_an_engine_without_places_fills_text_and_markdown(tmp_path: Path):
    engine = WriterEngine()
    page = read(engine, tmp_path, sample_photo(), lang_hints=("de",), textline_orientation=True)
    assert isinstance(engine, PageEngine)
    assert (page.text, page.markdown) == ("One\n  two", "# One\n\n    two")
    assert (page.detections, page.words, page.blocks, page.confidence) == ((), (), (), None)
    assert engine.requests == [ReadRequest(("german", "en"), textline_orientation=True)]


def test_lines_outside_of_blocks_come_last(tmp_path: Path):
    class Blocks(WriterEngine):
        def recognize_pages(self, images: Sequence[PageImage], request: ReadRequest) -> list[PageContent]:
            lines = (
                TextLine("outside", box(0, 0, 50, 10), 0.9),
                TextLine("right", box(60, 110, 90, 120), 0.9),
                TextLine("left", box(10, 111, 40, 121), 0.9),
                TextLine("unsure", box(10, 130, 40, 140), 0.2),
                TextLine("inner", box(12, 220, 30, 230), 0.9),
            )
            large = Block(type="paragraph", label="text", polygon=box(5, 100, 100, 300), order=0)
            small = Block(type="caption", label="figure_title", polygon=box(10, 210, 50, 240), order=1)
            return [PageContent(lines, (large, small)) for _ in images]

    page = read(Blocks(), tmp_path, sample_photo(), mode="structure")
    assert page.text.split("\n") == ["left right", "inner", "outside"]
    assert [block.lines for block in page.blocks] == [(0, 1), (2,)]
    assert [block.text for block in page.blocks] == ["left right", "inner"]
    assert page.markdown == "left right\n\ninner"


def test_structure_looks_at_pixels_where_a_page_has_text(tmp_path: Path):
    content = write_text_pdf(tmp_path / "text.pdf", 1).read_bytes()
    assert read(WriterEngine(), tmp_path, content).source == "text_layer"
    assert read(WriterEngine(), tmp_path, content, mode="structure").source == "ocr"


def test_an_engine_of_lines_does_not_pretend(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match="instant reads lines only"):
        read(InstantEngine(), tmp_path, sample_photo(), mode="structure")
    with pytest.raises(EngineUnavailable, match="instant reads pages as they are"):
        read(InstantEngine(), tmp_path, sample_photo(), doc_orientation=True)
    assert read(InstantEngine(), tmp_path, sample_photo(), textline_orientation=True).detections


def test_structure_of_a_text_layer_alone_is_refused():
    with pytest.raises(ValidationError, match="looks at a page's pixels"):
        OcrOptions(mode="structure", text_layer="only")


def test_the_engine_of_structure_is_loaded_at_the_start_where_its_configuration_is_given(tmp_path: Path):
    engine = InstantEngine()
    Engines(engine, Settings(quire_model_dir=tmp_path)).warm_up()
    with pytest.raises(EngineUnavailable, match="PADDLEOCR_PIPELINE_CONFIG"):
        Engines(engine, Settings(paddleocr_pipeline_config=tmp_path / "none.yaml")).warm_up()


def test_options_that_change_the_text_change_the_digest():
    plain = OcrOptions().digest()
    for name in ("doc_orientation", "doc_unwarping", "textline_orientation"):
        assert OcrOptions(**{name: True}).digest() != plain
    assert OcrOptions(mode="structure").digest() != plain
