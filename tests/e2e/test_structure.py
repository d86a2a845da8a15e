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

from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.e2e.browser import chromium, find_chromium
from tests.structured_pages import ROWS, SENTENCE, TITLE, report_image, report_models

WEB = Path(__file__).parents[2] / "apps" / "api" / "web"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = tmp_path_factory.mktemp("models")
    config = report_models(models)
    env = {"QUIRE_MODEL_DIR": str(models), "PADDLEOCR_PIPELINE_CONFIG": str(config)}
    with Stack(tmp_path_factory.mktemp("stack"), free_port(), beat=False, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def document(stack: Stack) -> str:
    """The id of a report that the worker has read."""
    content = io.BytesIO()
    report_image().save(content, "PNG")
    with httpx.Client(base_url=stack.api_url, timeout=60) as client:
        made: dict[str, Any] = client.post(
            "/api/v1/documents", files={"file": ("report.png", content.getvalue())}, data={"mode": "structure"}
        ).json()
        deadline = time.monotonic() + 120
        while made["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.3)
            made = client.get(f"/api/v1/documents/{made['id']}").json()
    assert made["status"] == "completed", made
    return str(made["id"])


@pytest.mark.filterwarnings("ignore")
def test_a_report_becomes_blocks_tables_and_pictures(stack: Stack, document: str):
    with httpx.Client(base_url=f"{stack.api_url}/api/v1/documents/{document}", timeout=60) as client:
        page = client.get("/pages/1").json()
        table = client.get("/export/tables-csv").content.decode("utf-8-sig")
        picture = Image.open(io.BytesIO(client.get("/pages/1/blocks/3/image").content))
        markdown = client.get("/export/md").text
    assert [block["type"] for block in page["blocks"]] == ["title", "paragraph", "table", "figure", "page_number"]
    assert page["engine"].startswith("pp-structurev3")
    assert [found["text"] for found in page["detections"]][:2] == [TITLE, SENTENCE]
    assert tuple(map(tuple, csv.reader(io.StringIO(table)))) == ROWS
    assert picture.getpixel((150, 150)) == (200, 40, 40)
    assert markdown.startswith(f"<!-- page 1 -->\n\n# {TITLE}\n\n{SENTENCE}\n\n| Item | Price |")
    assert page["blocks"][3]["picture"] in markdown


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
    expect(outlines).to_have_count(5)
    colours = {outlines.nth(index).evaluate("each => getComputedStyle(each).stroke") for index in range(4)}
    assert len(colours) == 4
    blocks = page.get_by_role("list", name="Blocks of the page")
    expect(blocks.get_by_role("row")).to_have_count(3)
    expect(blocks.get_by_role("cell", name="Apples")).to_be_visible()
    expect(blocks.get_by_role("img", name="Figure")).to_be_visible()
    blocks.get_by_role("button", name="Title", exact=True).click()
    expect(page.locator(".boxes .selected")).to_have_count(1)
    page.get_by_role("button", name="Lines", exact=True).click()
    expect(page.get_by_role("list", name="Lines of text").get_by_text(SENTENCE)).to_be_visible()
    # It stays as it was chosen.
    page.reload()
    expect(page.get_by_role("list", name="Lines of text")).to_be_visible()
    page.close()
