"""The viewer in a browser, on the whole system: from the file that is dropped to the one that is saved."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import numpy as np
import pikepdf
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, ViewportSize, expect
from sqlalchemy import insert

from quire.cli.samples import PHOTO, sample_pdf, sample_photo
from quire.contracts import OcrOptions
from quire.database.engine import connect, transaction
from quire.database.tables import Document
from quire.database.tables import Page as PageRow
from quire.embedded.processes import ChildProcess, free_port
from quire.embedded.stack import Stack
from quire.keys import create_key
from quire.storage import create_store
from tests.e2e import known_words
from tests.e2e.browser import chromium, find_chromium
from tests.pdfs import Rectangle, write_scanned_pdf

API: Final = Path(__file__).parents[2] / "apps" / "api"
WEB: Final = API / "web"
AXE: Final = WEB / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
LEAST_OVERLAP = 0.7


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("needs Chromium")
    if not (WEB / "dist" / "index.html").is_file() or not AXE.is_file():
        pytest.skip("needs the built viewer (make web)")
    # Machines that run tests are busy.
    expect.set_options(timeout=15_000)
    with chromium(path) as running:
        yield running


@pytest.fixture(scope="module")
def stack(browser: Browser, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {"QUIRE_MODEL_DIR": str(model_dir)}
    with Stack(tmp_path_factory.mktemp("viewer"), free_port(), beat=False, env=env) as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.api_url}/api/v1", timeout=30) as client:
        yield client


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser of its own; what the page complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def complain(message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_(path: str = "/", viewport: ViewportSize = DESKTOP, **more: Any) -> Page:
        context = browser.new_context(
            viewport=viewport,
            base_url=stack.api_url,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", complain)
        # From the beginning: the browser takes a moment to hand choosers over.
        page.on("filechooser", lambda _: None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def submit(api: httpx.Client, content: bytes, name: str, seconds: float = 60, **form: Any) -> str:
    """The id of a document that has been read."""
    document = api.post("/documents", files={"file": (name, content)}, data=form).raise_for_status().json()
    deadline = time.monotonic() + seconds
    while document["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, document
        time.sleep(0.1)
        document = api.get(f"/documents/{document['id']}").raise_for_status().json()
    return str(document["id"])


@pytest.fixture(scope="module")
def photo(stack: Stack) -> str:
    with httpx.Client(base_url=f"{stack.api_url}/api/v1", timeout=30) as client:
        return submit(client, sample_photo(), "photo.jpg")


@pytest.fixture(scope="module")
def report(stack: Stack) -> str:
    with httpx.Client(base_url=f"{stack.api_url}/api/v1", timeout=30) as client:
        return submit(client, sample_pdf(), "report.pdf")


def payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def pick(page: Page, name: str, content: bytes) -> None:
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Choose files").click()
    chosen.value.set_files(payload(name, content))


def status_of(page: Page) -> Locator:
    return page.locator(".document-facts .badge")


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def has_no_overflow(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_from_the_file_to_its_text(open_page: Callable[..., Page], viewport: ViewportSize):
    page = open_page(viewport=viewport)
    pick(page, "photo.jpg", sample_photo())
    expect(page).to_have_url(re.compile(r"/documents/[0-9a-f-]{36}"))
    expect(status_of(page)).to_have_text("Done")
    expect(page).to_have_title("photo.jpg – Quire")
    lines = page.locator(".line-text")
    expect(lines).to_have_count(len(PHOTO))
    assert lines.all_inner_texts() == list(PHOTO)

    boxes = page.locator(".boxes .lines polygon")
    boxes.nth(2).hover()
    expect(page.locator(".line.hovered")).to_have_text(PHOTO[2])
    lines.nth(4).hover()
    expect(page.locator("polygon.hovered")).to_have_attribute("data-line", "4")
    lines.nth(3).click()
    expect(page.locator("polygon.selected")).to_have_attribute("data-line", "3")
    expect(page).to_have_url(re.compile(r"page=1&line=4$"))

    page.get_by_role("button", name="Copy line 4").click()
    expect(page.locator(".toast")).to_have_text("The line was copied.")
    assert clipboard(page) == PHOTO[3]
    page.get_by_role("button", name="Copy text").click()
    page.get_by_role("menuitem", name="This page").click()
    expect(page.locator(".toast")).to_have_text("The page was copied.")
    assert clipboard(page).split() == " ".join(PHOTO).split()
    page.get_by_role("button", name="Copy text").click()
    page.get_by_role("menuitem", name="All pages").click()
    expect(page.locator(".toast")).to_have_text("The text of every page was copied.")
    assert PHOTO[0] in clipboard(page)
    assert has_no_overflow(page)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_appear_while_they_are_read_and_the_rest_can_be_cancelled(
    open_page: Callable[..., Page], tmp_path: Path, viewport: ViewportSize
):
    page = open_page(viewport=viewport)
    # Other pages at each width: what was read before is not read again.
    pick(page, "long.pdf", write_scanned_pdf(tmp_path / "long.pdf", 400 + viewport["width"] % 100).read_bytes())
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    expect(page.locator(".document-facts")).to_contain_text(re.compile(r"\d+ of 4\d\d pages"))
    expect(page.locator(".page-view img")).to_be_visible()
    expect(page.locator(".line-text")).to_have_text("1001")
    if viewport is PHONE:
        page.get_by_role("tab", name="Pages").click()
    expect(page.locator(".thumbnail.done img").first).to_be_visible()
    expect(page.locator(".thumbnail.done").nth(3)).to_be_visible()
    if viewport is PHONE:
        page.get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="Cancel").click()
    else:
        page.get_by_role("button", name="Cancel").click()
    expect(status_of(page)).to_have_text("Cancelled")
    expect(page.get_by_role("progressbar", name="Progress")).to_be_hidden()
    assert has_no_overflow(page)


def test_a_search_leads_to_the_line(open_page: Callable[..., Page], report: str):
    page = open_page(f"/documents/{report}")
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("searchbox").fill("carries its own")
    result = page.locator(".results a")
    expect(result).to_have_count(1)
    expect(page.locator(".results mark")).to_have_text("carries its own")
    expect(page.locator(".results h3")).to_have_text("Page 2")
    result.click()
    expect(page).to_have_url(re.compile(r"page=2&line=1&q=carries"))
    expect(page).to_have_title("report.pdf, page 2 – Quire")
    expect(page.locator("polygon.selected.match")).to_have_attribute("data-line", "0")
    page.get_by_role("searchbox").fill("nowhere at all")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    # The address is a link for somebody else.
    other = open_page(f"/documents/{report}?page=2&line=1&q=carries")
    expect(other.locator("polygon.selected.match")).to_have_attribute("data-line", "0")


def test_every_export_is_a_file(open_page: Callable[..., Page], report: str):
    page = open_page(f"/documents/{report}?page=2")
    expect(status_of(page)).to_have_text("Done")
    starts = {
        "Text": b"Quire sample",
        "Markdown": b"",
        "JSON": b"{",
        "PDF": b"%PDF",
        "hOCR": b"<",
        "ALTO": b"<",
        "This page with its boxes": b"\x89PNG",
    }
    for name, start in starts.items():
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name=name).click()
        assert saved.value.suggested_filename.startswith("report")
        assert saved.value.path().read_bytes().startswith(start)


def test_the_list_finds_pages_and_deletes(open_page: Callable[..., Page], api: httpx.Client):
    page = open_page()
    ids = [submit(api, sample_photo(), f"bill-{number}.jpg") for number in range(2)]
    page.get_by_role("searchbox", name="File name").fill("BILL-1")
    rows = page.locator(".row-link")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?filename=BILL-1$"))
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_text("No document matches")).to_be_visible()
    page.get_by_label("Status").select_option("completed")
    rows.click()
    expect(page).to_have_url(re.compile(ids[1]))
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_have_text("bill-1.jpg was deleted.")
    assert api.get(f"/documents/{ids[1]}").status_code == 404
    page.goto(f"/documents/{ids[1]}")
    expect(page.get_by_role("alert")).to_contain_text("document_not_found")


def test_the_list_goes_on_where_it_ended(open_page: Callable[..., Page], stack: Stack):
    insert_documents(stack, count=120, filename="many")
    page = open_page("/?filename=many")
    rows = page.locator(".row")
    for count in (50, 100, 120):
        expect(rows).to_have_count(count)
        if count < 120:
            page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_a_refused_and_a_damaged_file_say_what_is_wrong(open_page: Callable[..., Page]):
    page = open_page()
    pick(page, "notes.txt", b"plain text")
    expect(page.get_by_role("alert")).to_contain_text("unsupported_media_type")
    page.get_by_role("button", name="Dismiss").click()
    pick(page, "broken.pdf", b"%PDF-1.7 nothing else")
    expect(status_of(page)).to_have_text("Failed")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("damaged")
    expect(problem.locator("code")).to_have_text("corrupt")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".toast")).to_have_text("The pages that failed are read again.")
    expect(status_of(page)).to_have_text("Failed")


def test_everything_can_be_done_with_the_keyboard(open_page: Callable[..., Page]):
    page = open_page()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()

    def tab_to(target: Locator, key: str = "Tab") -> None:
        expect(target).to_be_visible()
        for _ in range(40):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press(key)
        raise AssertionError(f"{target} was not reached")

    tab_to(page.get_by_role("button", name="Choose files"))
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files(payload("keys.pdf", sample_pdf()))
    expect(status_of(page)).to_have_text("Done")
    expect(page.locator(".line-text").first).to_be_visible()

    tab_to(page.locator(".line-text").first)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("polygon.selected")).to_have_attribute("data-line", "2")
    line = page.locator(".line-text").nth(2)
    expect(line).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator(".toast")).to_have_text("The line was copied.")
    assert clipboard(page) == line.inner_text()

    page.keyboard.press("j")
    expect(page).to_have_url(re.compile(r"page=2"))
    page.keyboard.press("b")
    expect(page.locator(".boxes .words polygon").first).to_be_visible()
    page.keyboard.press("w")
    expect(page.get_by_role("button", name="Fit the width")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("picture")
    result = page.locator(".results a").first
    tab_to(result)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"page=1&line=2"))

    tab_to(page.get_by_role("button", name="Export"), "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Markdown")).to_be_focused()
    with page.expect_download():
        page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Export")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    tab_to(page.get_by_role("button", name="More"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))


def serious_violations(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return [
        f"{found['id']}: {[node['html'][:120] for node in found['nodes']]}"
        for found in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Callable[..., Page], report: str, scheme: str):
    page = open_page(color_scheme=scheme)
    expect(page.locator(".row").first).to_be_visible()
    page.get_by_text("Options").click()
    assert serious_violations(page) == []
    for viewport in (DESKTOP, PHONE):
        page = open_page(f"/documents/{report}?page=1&line=2", viewport, color_scheme=scheme)
        expect(page.locator("polygon.selected")).to_be_visible()
        assert serious_violations(page) == []
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("searchbox").fill("page")
    expect(page.locator(".results a").first).to_be_visible()
    page.get_by_role("button", name="Export").click()
    assert serious_violations(page) == []
    page.get_by_role("menuitem", name="hOCR").focus()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert serious_violations(page) == []


def test_the_colours_follow_the_system_until_somebody_chooses(open_page: Callable[..., Page]):
    page = open_page(color_scheme="dark")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(background)
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    expect(switch).to_have_attribute("title", "Colours: light")
    assert page.evaluate(background) == light
    switch.click()
    switch.click()
    assert page.evaluate(background) == dark


# --- Keys -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(stack: Stack) -> Iterator[tuple[str, str]]:
    """The URL of a second API process, which asks for keys, and a key."""
    database = stack.settings.sqlalchemy_url
    assert database is not None
    engine = connect(database)
    with transaction(engine) as session:
        _, secret = create_key(session, name="viewer", owner="acme")
    engine.dispose()
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
    env = os.environ | {
        "REDIS_URL": stack.redis.url,
        "DATABASE_URL": stack.postgres.url,
        "QUIRE_OBJECT_DIR": str(stack.home / "objects"),
        "QUIRE_AUTH": "required",
    }
    url = f"http://127.0.0.1:{port}"
    with ChildProcess(command, log=stack.home / "logs" / "guarded.log", env=env, cwd=API) as process:
        deadline = time.monotonic() + 60
        while not answers(url):
            assert process.exit_status is None, process.last_lines(40)
            assert time.monotonic() < deadline, process.last_lines(40)
            time.sleep(0.05)
        yield url, secret


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_key_is_asked_for_and_sent_along(open_page: Callable[..., Page], api: httpx.Client, guarded: tuple[str, str]):
    url, secret = guarded
    document = submit(api, sample_pdf(), "acme.pdf", owner="acme")
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/documents/{document}?page=2")
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    key.fill("qk_wrong")
    key.press("Enter")
    expect(page.get_by_role("alert").locator("code")).to_have_text("unauthorized")
    assert serious_violations(page) == []
    key.fill(secret)
    key.press("Enter")
    expect(page.locator(".page-view img")).to_be_visible()
    expect(page.locator(".thumbnail img")).to_have_count(2)
    page.get_by_role("link", name="Quire").click()
    # Only what is the owner's.
    expect(page.locator(".row-link")).to_have_count(1)
    pick(page, "photo.jpg", sample_photo())
    expect(status_of(page)).to_have_text("Done")
    expect(page.locator(".line-text")).to_have_count(len(PHOTO))
    page.get_by_role("button", name="Forget the API key").click()
    expect(key).to_be_visible()
    page.reload()
    expect(key).to_be_visible()
    assert not any(secret in address for address in asked)


# --- Where the boxes are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [known_words.as_it_is, known_words.with_exif_turn, known_words.with_rotate, known_words.with_crop_box],
    ids=lambda make: make.__name__,
)
def test_boxes_lie_on_their_words(
    open_page: Callable[..., Page], api: httpx.Client, tmp_path: Path, make: Callable[[Path], Path]
):
    path = make(tmp_path)
    document = submit(api, path.read_bytes(), path.name)
    words = api.get(f"/documents/{document}/pages/1").json()["words"]
    page = open_page(f"/documents/{document}")
    expect(page.locator(".page-view img")).to_be_visible()
    assert_ink_is_where_it_should_be(page)
    page.get_by_role("button", name="Boxes").click()
    page.get_by_role("menuitemradio", name="Words").click()
    # As it is, so large that it scrolls, and both once more turned.
    for turn, larger in product((0, 1), (0, 3)):
        page.get_by_role("button", name="Fit the page").click()
        for _ in range(larger):
            page.get_by_role("button", name="Zoom in").click()
        if turn and not larger:
            page.get_by_role("button", name="Turn the page").click()
        _, places = known_words.picture()
        drawn = rectangles(page, ".boxes .words polygon")
        for index, word in enumerate(words):
            expected = on_screen(page, places[word["text"]], turn)
            assert overlap(drawn[index], expected) >= LEAST_OVERLAP, (word["text"], turn, larger)
        lines = rectangles(page, ".boxes .lines polygon")
        assert len(lines) == len(known_words.LINES)
        for line, place in zip(lines, known_words.line_places(), strict=True):
            assert overlap(line, on_screen(page, place, turn)) >= LEAST_OVERLAP, (turn, larger)
    assert {word["text"] for word in words} == set(" ".join(known_words.LINES).split())


def rectangles(page: Page, selector: str) -> list[Rectangle]:
    """Where the elements are on the screen."""
    script = "all => all.map(one => one.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"
    return [tuple(found) for found in page.locator(selector).evaluate_all(script)]


def on_screen(page: Page, place: Rectangle, turn: int) -> Rectangle:
    """Where a place of the known picture is on the screen, with the view turned so many quarters clockwise."""
    width, height = known_words.SIZE
    left, top, right, bottom = place
    if turn:
        left, top, right, bottom = height - bottom, left, height - top, right
        width, height = height, width
    ((x1, y1, x2, y2),) = rectangles(page, ".page-view img")
    across, down = (x2 - x1) / width, (y2 - y1) / height
    return x1 + left * across, y1 + top * down, x1 + right * across, y1 + bottom * down


def overlap(one: Rectangle, other: Rectangle) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((r[2] - r[0]) * (r[3] - r[1]) for r in (one, other))
    return shared / (areas - shared)


def assert_ink_is_where_it_should_be(page: Page) -> None:
    """What is seen on the screen is the known picture: its ink lies within the places of its lines, and fills them."""
    page.get_by_role("button", name="Boxes").click()
    page.get_by_role("menuitemradio", name="No boxes").click()
    seen = Image.open(io.BytesIO(page.locator(".page-view img").screenshot())).convert("L")
    ((left, top, _, _),) = rectangles(page, ".page-view img")
    dark = np.asarray(seen) < 128
    ink = int(dark.sum())
    inside = 0
    for place in known_words.line_places():
        x1, y1, x2, y2 = on_screen(page, place, 0)
        rows = slice(int(y1 - top) - 2, int(y2 - top) + 3)
        columns = slice(int(x1 - left) - 2, int(x2 - left) + 3)
        within = dark[rows, columns]
        inside += int(within.sum())
        filled = np.flatnonzero(within.any(axis=0))
        assert filled[-1] - filled[0] > 0.9 * within.shape[1]
    assert ink > 500
    assert inside > 0.98 * ink


# --- Very long documents ----------------------------------------------------------------------------------------------


def insert_documents(stack: Stack, count: int, filename: str, pages: int = 1, key: str = "none") -> list[UUID]:
    """Documents that were read, straight into the database: reading so much takes too long for a test."""
    url = stack.settings.sqlalchemy_url
    assert url is not None
    engine = connect(url)
    ids = [uuid4() for _ in range(count)]
    box = ((20, 20), (90, 20), (90, 60), (20, 60))
    read: dict[str, Any] = {"status": "done", "width": 500, "height": 250, "dpi": 180, "rotation": 0, "source": "ocr"}
    counts = {"page_count": pages, "pages_total": pages, "pages_done": pages}
    with transaction(engine) as session:
        for index, document in enumerate(ids):
            session.add(
                Document(
                    id=document,
                    bucket="quire",
                    source_key=key,
                    filename=f"{filename}-{index}.pdf",
                    media_type="application/pdf",
                    options=OcrOptions().model_dump(mode="json"),
                    options_hash="",
                    status="completed",
                    **counts,
                )
            )
        session.flush()
        session.execute(
            insert(PageRow),
            [
                {
                    "document_id": document,
                    "number": number,
                    "text": f"page {number}",
                    "detections": [{"text": f"page {number}", "box": box, "confidence": 0.9, "page_number": number}],
                    **read,
                }
                for document in ids
                for number in range(1, pages + 1)
            ],
        )
    engine.dispose()
    return ids


def test_five_thousand_pages_are_fetched_as_they_are_looked_at(open_page: Callable[..., Page], stack: Stack):
    content = io.BytesIO()
    with pikepdf.new() as pdf:
        for _ in range(5000):
            pdf.add_blank_page(page_size=(200, 100))
        pdf.save(content)
    content.seek(0)
    create_store(stack.settings).put("quire", "huge.pdf", content)
    (document,) = insert_documents(stack, 1, "huge", 5000, "huge.pdf")
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/documents/{document}?page=4210")
    expect(page.locator(".line-text")).to_have_text("page 4210")
    expect(page.locator(".page-view img")).to_be_visible()
    expect(page.locator(".thumbnail[aria-current=page] img")).to_be_visible()
    assert page.locator(".thumbnail").count() < 20
    page.keyboard.press("End")
    expect(page.locator(".line-text")).to_have_text("page 5000")
    chooser = page.get_by_role("textbox", name="Page")
    chooser.fill("17")
    chooser.press("Enter")
    expect(page.locator(".line-text")).to_have_text("page 17")
    expect(page.locator(".thumbnail[aria-current=page]")).to_have_attribute("aria-label", "Page 17")
    assert page.locator(".thumbnail").count() < 20
    assert len([url for url in asked if "/api/" in url]) < 80
