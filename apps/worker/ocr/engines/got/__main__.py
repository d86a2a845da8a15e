"""`python -m ocr.engines.got FILE`: what GOT-OCR 2.0 alone can do: a region of a page, or several pages as one text."""

from __future__ import annotations

import argparse
import sys
from math import inf
from pathlib import Path

import workspace  # noqa: F401  isort: skip
from ocr.engines.got.engine import GotEngine, Region
from quire.errors import QuireError
from quire.page_ranges import select_pages
from quire.pages import PageImage, PageLimits, open_source
from quire.settings import load_settings


def main(arguments: list[str] | None = None) -> int:
    """Read and print, form feeds between pages. Exit status: 0, or 2 with a line on what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m ocr.engines.got", description="Read with GOT-OCR 2.0.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", help='such as "1-3,7"; all by default')
    parser.add_argument("--formatted", action="store_true", help="Markdown, with LaTeX for formulas and tables")
    parser.add_argument("--together", action="store_true", help="all pages as one text that goes on over pages")
    parser.add_argument("--region", help="LEFT,TOP,RIGHT,BOTTOM of each page, in pixels of its image")
    parser.add_argument("--dpi", type=int)
    parsed = parser.parse_args(arguments)
    try:
        settings = load_settings()
        region = None if parsed.region is None else _region(parsed.region)
        if region is not None and parsed.together:
            raise ValueError("--region is of one page: leave --together out")
        engine = GotEngine(settings)
        with open_source(parsed.file, PageLimits.from_settings(settings)) as source:
            dpi = float(parsed.dpi or settings.paddleocr_pdf_dpi)
            numbers = select_pages(parsed.pages, source.page_count)
            if parsed.together:
                images = [source.image(number, dpi) for number in numbers]
                print(engine.transcribe_together(images, formatted=parsed.formatted))
                return 0
            for position, number in enumerate(numbers):
                image = source.image(number, dpi)
                part = None if region is None else _on_page(region, image)
                (text,) = engine.transcribe([image], formatted=parsed.formatted, region=part)
                print(("\f" if position else "") + text, flush=True)
    except (QuireError, ValueError, OSError) as error:
        code = error.code if isinstance(error, QuireError) else "invalid_arguments"
        print(f"{parsed.file}: {code}: {error}", file=sys.stderr)
        return 2
    return 0


def _region(text: str) -> Region:
    try:
        left, top, right, bottom = (float(each) for each in text.split(","))
    except ValueError:
        raise ValueError(f"--region: {text!r} is not LEFT,TOP,RIGHT,BOTTOM") from None
    if not (0 <= left < right < inf and 0 <= top < bottom < inf):
        raise ValueError(f"--region: {text!r} holds nothing")
    return left, top, right, bottom


def _on_page(region: Region, image: PageImage) -> Region:
    """The part of a region that is on the page."""
    left, top, right, bottom = region
    if left >= image.width or top >= image.height:
        raise ValueError(f"--region: page {image.number} has {image.width} × {image.height} pixels, all outside of it")
    return left, top, min(right, image.width), min(bottom, image.height)


if __name__ == "__main__":
    sys.exit(main())
