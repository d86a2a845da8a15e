"""Makes the pictures of docs/viewer.md: `make web`, then `python -m tests.e2e.screenshots`."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Literal

import httpx
from PIL import Image
from playwright.sync_api import Browser, ViewportSize

from quire.cli.samples import sample_pdf, sample_photo
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.e2e.browser import chromium, find_chromium

DOCS: Final = Path(__file__).parents[2] / "docs"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
# A page of few colours: 256 of them are enough, and a third of the bytes.
_COLOURS: Final = 256


def main() -> int:
    """Read two samples, photograph both."""
    path = find_chromium()
    if path is None:
        print("There is no Chromium on this machine.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as home,
        Stack(Path(home), free_port(), beat=False) as stack,
        chromium(path) as browser,
    ):
        report = _read(stack.api_url, "report.pdf", sample_pdf())
        receipt = _read(stack.api_url, "receipt.jpg", sample_photo())
        _take(browser, f"{stack.api_url}/documents/{report}?page=1&line=3", DESKTOP, "light", "viewer-desktop.png")
        _take(browser, f"{stack.api_url}/documents/{receipt}?page=1&line=4", PHONE, "dark", "viewer-phone.png")
    return 0


def _read(api_url: str, name: str, content: bytes) -> str:
    """The id of the document, once it has been read."""
    with httpx.Client(base_url=f"{api_url}/api/v1", timeout=30) as api:
        document = api.post("/documents", files={"file": (name, content)}).raise_for_status().json()
        while document["status"] in ("queued", "running"):
            time.sleep(0.1)
            document = api.get(f"/documents/{document['id']}").raise_for_status().json()
    return str(document["id"])


def _take(browser: Browser, address: str, viewport: ViewportSize, colours: Literal["light", "dark"], name: str) -> None:
    context = browser.new_context(
        viewport=viewport, color_scheme=colours, device_scale_factor=1.5, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    page.locator("polygon.selected").wait_for()
    page.locator(".page-view img").wait_for()
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(DOCS / name, optimize=True)
    print(f"{name}: {(DOCS / name).stat().st_size:,} bytes")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
