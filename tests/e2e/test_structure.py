"""Mode structure on the whole system: a worker with PP-StructureV3 on small models, the API, the viewer."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect
from pypdfium2 import PdfDocument

from ocr.engines import opencv_alias
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.e2e.browser import chromium, find_chromium
from tests.structured_pages import paper_image, paper_models

WEB = Path(__file__).parents[2] / "apps" / "api" / "web"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = tmp_path_factory.mktemp("models")
    opencv_alias.install()
    config = paper_models(models)
    env = {"QUIRE_MODEL_DIR": str(models), "PADDLEOCR_PIPELINE_CONFIG": str(config)}
    with Stack(tmp_path_factory.mktemp("stack"), free_port(), beat=False, env=env) as running:
        yield running


def read(stack: Stack, mode: str) -> str:
    """The id of a paper that the worker has read."""
    content = io.BytesIO()
    paper_image().save(content, "PNG")
    with httpx.Client(base_url=stack.api_url, timeout=60) as client:
        made: dict[str, Any] = client.post(
            "/api/v1/documents", files={"file": ("paper.png", content.getvalue())}, data={"mode": mode}
        ).json()
        deadline = time.monotonic() + 120
        while made["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.3)
            made = client.get(f"/api/v1/documents/{made['id']}").json()
    assert made["status"] == "completed", made
    return str(made["id"])


@pytest.fixture(scope="module")
def document(stack: Stack) -> str:
    return read(stack, "structure")


@pytest.mark.filterwarnings("ignore")
def test_a_paper_becomes_blocks_tables_formulas_and_pictures(stack: Stack, document: str):
    with httpx.Client(base_url=f"{stack.api_url}/api/v1/documents/{document}", timeout=60) as client:
        page = client.get("/pages/1").json()
        tables = client.get("/export/tables-csv").content.decode("utf-8-sig")
        number = next(index for index, block in enumerate(page["blocks"]) if block["type"] == "chart")
        picture = Image.open(io.BytesIO(client.get(f"/pages/1/blocks/{number}/image").content))
        markdown = client.get("/export/md").text
    assert [block["type"] for block in page["blocks"] if block["order"] is not None] == [
        "table", "heading", "paragraph", "formula", "chart", "caption", "seal", "footnote",
    ]  # fmt: skip
    assert page["engine"].startswith("pp-structurev3")
    assert list(csv.reader(io.StringIO(tables))) == [
        ["Region", "", "Sum"], ["North", "1", "2"], ["South", "3100", "4"], [],
        ["Year", "Sales"], ["2024", "5"], ["2025", "8"],
    ]  # fmt: skip
    assert picture.size == (300, 180)
    assert "We write $E=m c^{2}$ for the energy\nin every case.\n\n$$\nE=m c^{2}\n$$" in markdown
    assert page["blocks"][number]["picture"] in markdown


@pytest.mark.filterwarnings("ignore")
def test_a_client_of_mode_text_notices_nothing_but_more_text(stack: Stack, document: str):
    def everything(id_: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        with httpx.Client(base_url=f"{stack.api_url}/api/v1/documents/{id_}", timeout=60) as client:
            exports = {name: client.get(f"/export/{name}").content for name in ("txt", "hocr", "alto", "pdf")}
            return client.get("/pages/1").json(), exports

    (text, text_exports), (structure, exports) = everything(read(stack, "text")), everything(document)
    assert structure.keys() == text.keys()
    for key in ("detections", "words"):
        assert structure[key][0].keys() == text[key][0].keys()
    for key in ("width", "height", "rotation", "source", "dpi"):
        assert structure[key] == text[key]
    common = {"Journal of Examples", "2. Method", "in every case.", "Figure 1: Growth", "APPROVED", "Region"}
    for page in (text, structure):
        assert common <= {found["text"] for found in page["detections"]}
    places = [next(word["box"][0] for word in page["words"] if word["text"] == "Growth") for page in (text, structure)]
    assert places[0] == pytest.approx(places[1], abs=12)
    assert exports.keys() == text_exports.keys()
    for each in (text_exports, exports):
        assert b"Journal of Examples" in each["txt"]
        with PdfDocument(each["pdf"]) as pdf:
            assert "Journal of Examples" in pdf[0].get_textpage().get_text_range()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None or not (WEB / "dist" / "index.html").is_file():
        pytest.skip("needs Chromium and the built viewer (make web)")
    expect.set_options(timeout=15_000)
    with chromium(path) as running:
        yield running


def test_the_viewer_shows_blocks_by_colour_and_the_table_as_a_table(browser: Browser, stack: Stack, document: str):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{stack.api_url}/documents/{document}")
    outlines = page.locator(".boxes .blocks polygon")
    expect(outlines).to_have_count(11)
    assert len({outline.evaluate("each => getComputedStyle(each).stroke") for outline in outlines.all()}) == 6
    blocks = page.get_by_role("list", name="Blocks of the page")
    expect(blocks.get_by_role("row")).to_have_count(6)
    expect(blocks.get_by_role("cell", name="South")).to_be_visible()
    # A chart is its picture and its numbers.
    chart = blocks.get_by_role("listitem").filter(has=page.get_by_text("Chart", exact=True))
    expect(chart.get_by_role("img", name="Chart")).to_be_visible()
    expect(chart.get_by_role("cell", name="2025")).to_be_visible()
    expect(blocks.locator("code.formula")).to_have_text("E=m c^{2}")
    blocks.get_by_role("button", name="Heading", exact=True).click()
    expect(page.locator(".boxes .selected")).to_have_count(1)
    page.get_by_role("button", name="Lines", exact=True).click()
    expect(page.get_by_role("list", name="Lines of text").get_by_text("Figure 1: Growth")).to_be_visible()
    # It stays as it was chosen.
    page.reload()
    expect(page.get_by_role("list", name="Lines of text")).to_be_visible()
    page.close()


def test_blocks_and_their_tables_fit_a_phone(browser: Browser, stack: Stack, document: str):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{stack.api_url}/documents/{document}")
    if (text := page.get_by_role("tab", name="Text")).count():
        text.click()
    table = page.get_by_role("region", name="Table").first
    table.scroll_into_view_if_needed()
    expect(table.get_by_role("cell", name="South")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
