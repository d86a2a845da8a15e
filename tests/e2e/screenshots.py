"""Makes the pictures of docs/viewer.md: `make web`, then `python -m tests.e2e.screenshots`."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, ViewportSize

from quire.cli.samples import sample_photo
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.e2e.browser import chromium, find_chromium
from tests.llm_server import KEY, Asked, llm_server
from tests.pdfs import write_picture_pdf, written

DOCS: Final = Path(__file__).parents[2] / "docs"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
_NOTES: Final = (
    "Field notes, spring 1931",
    "12 March. Snow is gone from the lower meadow.",
    "Counted 48 lapwings and 3 curlews before nine.",
    "The river stands at 1.84 m by the old bridge.",
    "",
    "15 March. Rain all day; nothing to be seen.",
    "Mended the hide: 2 boards, 40 nails, 3.60 in all.",
    "",
    "19 March. First swallow, very early this year.",
    "Wind from the south-west, 11 degrees at noon.",
    "Two pairs of teal on the pond behind the mill.",
    "",
    "23 March. Mr Hartley brought the new glasses.",
    "With them the far bank is as near as a table.",
    "Saw the heron take seven fish within the hour.",
    "",
    "28 March. The lapwings are sitting: 5 nests.",
    "Marked each with a hazel stick, well away from it.",
)
# Front, back, and the line that says so.
_CARDS: Final = (
    ("How many lapwings were counted before nine on 12 March?", "48, and 3 curlews.", _NOTES[2]),
    ("How high did the river stand by the old bridge?", "At 1.84 m.", _NOTES[3]),
    ("What did it take to mend the hide?", "2 boards and 40 nails, 3.60 in all.", _NOTES[6]),
    ("How many fish did the heron take within the hour?", "Seven.", _NOTES[14]),
)
# This line of them had an accident.
_SCRATCHED: Final = 9
_A4_AT_180_DPI: Final = (1488, 2105)
_LINE_PIXELS: Final = 44
_TOP: Final = 150
# A page of few colours: 256 of them are enough, and a third of the bytes.
_COLOURS: Final = 256


def main() -> int:
    """Read two documents, photograph both, and flashcards of one."""
    path = find_chromium()
    if path is None:
        print("There is no Chromium on this machine.", file=sys.stderr)
        return 1
    env = {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "example-model"}
    with (
        tempfile.TemporaryDirectory() as home,
        llm_server() as model,
        Stack(Path(home), free_port(), beat=False, env=env | {"OPENAI_BASE_URL": model.url}) as stack,
        chromium(path) as browser,
    ):
        model.answer = _cards
        notes = _read(stack.api_url, "Field notes 1931.pdf", _field_notes(Path(home)))
        receipt = _read(stack.api_url, "receipt.jpg", sample_photo())
        _take(browser, f"{stack.api_url}/documents/{notes}?page=1&line=3", DESKTOP, "light", "viewer-desktop.png")
        _take(browser, f"{stack.api_url}/documents/{receipt}?page=1&line=4", PHONE, "dark", "viewer-phone.png")
        cards = _flashcards(stack.api_url, notes)
        address = f"{stack.api_url}/documents/{notes}?page=1&aid={cards}"
        _take(browser, address, DESKTOP, "light", "viewer-study.png", _turn_a_card)
    return 0


def _field_notes(folder: Path) -> bytes:
    """A scan of five pages, one of them scratched."""
    pages = []
    for day in range(5):
        image, _ = written(
            _NOTES[:1] + _NOTES[1 + 4 * day :] if day else _NOTES, _LINE_PIXELS, _A4_AT_180_DPI, (150, _TOP)
        )
        if not day:
            _scratch(image, _TOP + _SCRATCHED * 2 * _LINE_PIXELS)
        pages.append(image)
    return write_picture_pdf(folder / "notes.pdf", pages).read_bytes()


def _scratch(image: Image.Image, top: int) -> None:
    """Dark and bright strokes across a line, so that not every word of it can be read for sure."""
    generator, draw = np.random.default_rng(3), ImageDraw.Draw(image)
    for stroke in range(22):
        x, length, y, slope = (
            int(generator.integers(*limits)) for limits in ((600, 1000), (60, 160), (8, 50), (-14, 14))
        )
        draw.line([(x, top + y), (x + length, top + y + slope)], fill=255 if stroke % 2 else 90, width=4)


def _read(api_url: str, name: str, content: bytes) -> str:
    """The id of the document, once it has been read."""
    with httpx.Client(base_url=f"{api_url}/api/v1", timeout=30) as api:
        document = api.post("/documents", files={"file": (name, content)}).raise_for_status().json()
        while document["status"] in ("queued", "running"):
            time.sleep(0.1)
            document = api.get(f"/documents/{document['id']}").raise_for_status().json()
    return str(document["id"])


def _cards(asked: Asked) -> dict[str, Any]:
    """The cards whose lines are in the request."""
    said = {line: page for page, lines in reversed(asked.pages.items()) for line in lines}
    return {
        "cards": [
            {"front": front, "back": back, "difficulty": "easy", "quotes": [{"page": said[line], "quote": line}]}
            for front, back, line in _CARDS
            if line in said
        ]
    }


def _flashcards(api_url: str, document: str) -> str:
    """The id of flashcards of the document, once they are made."""
    aids = f"/documents/{document}/artifacts"
    with httpx.Client(base_url=f"{api_url}/api/v1", timeout=30) as api:
        asked = api.post(aids, json={"kind": "flashcards"}).raise_for_status().json()
        while asked["status"] in ("queued", "running"):
            time.sleep(0.1)
            asked = api.get(f"{aids}/{asked['id']}").raise_for_status().json()
    return str(asked["id"])


def _turn_a_card(page: Page) -> None:
    """Show the answer of a card, and the words that it cites."""
    page.get_by_role("button", name="Next card").click()
    page.get_by_role("button", name="Show the answer").click()
    page.locator(".citation").click()
    page.locator(".evidence polygon").wait_for()
    page.mouse.move(0, 0)


def _show_the_line(page: Page) -> None:
    """The line is in the address."""
    page.locator("polygon.selected").wait_for()


def _take(
    browser: Browser,
    address: str,
    viewport: ViewportSize,
    colours: Literal["light", "dark"],
    name: str,
    act: Callable[[Page], None] = _show_the_line,
) -> None:
    context = browser.new_context(
        viewport=viewport, color_scheme=colours, device_scale_factor=1.5, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    act(page)
    page.locator(".page-view img").wait_for()
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(DOCS / name, optimize=True)
    print(f"{name}: {(DOCS / name).stat().st_size:,} bytes")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
