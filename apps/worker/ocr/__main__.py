"""`python -m ocr FILE`: read one document here and print its text (`--format json`: everything; `md`: Markdown)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import workspace  # noqa: F401  isort: skip
from quire.loading import loaded  # isort: skip  the collector rests from here on
from ocr.engines import create_engine
from ocr.engines.by_options import Engines
from ocr.read import ReadOptions, read_pages
from quire.contracts import OcrOptions
from quire.errors import QuireError
from quire.page_ranges import select_pages
from quire.pages import PageLimits, open_source
from quire.settings import load_settings

loaded()


def main(arguments: list[str] | None = None) -> int:
    """Read, print, and say in one line what went wrong. Exit status: 0, or 2 for a `QuireError`."""
    parser = argparse.ArgumentParser(prog="python -m ocr", description="Read one document and print its text.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=("text", "json", "md"), default="text")
    parser.add_argument("--mode", choices=("text", "structure"), default="text")
    parser.add_argument("--pages", help='such as "1-3,7"; all by default')
    parser.add_argument("--lang", action="append", default=[], help="expected language; may be given several times")
    parser.add_argument("--text-layer", choices=("auto", "never", "only"), default="auto")
    parser.add_argument("--dpi", type=int)
    for option in ("doc-orientation", "doc-unwarping", "textline-orientation"):
        parser.add_argument(f"--{option}", action="store_true")
    parsed = parser.parse_args(arguments)
    try:
        settings = load_settings()
        options = OcrOptions(
            pages=parsed.pages,
            lang_hints=tuple(parsed.lang),
            mode=parsed.mode,
            text_layer=parsed.text_layer,
            dpi=parsed.dpi,
            doc_orientation=parsed.doc_orientation,
            doc_unwarping=parsed.doc_unwarping,
            textline_orientation=parsed.textline_orientation,
        )
        with open_source(parsed.file, PageLimits.from_settings(settings)) as source:
            numbers = select_pages(parsed.pages, source.page_count)
            resolved = ReadOptions.resolve(options, settings)
            engine = Engines(create_engine(settings), settings).for_options(resolved)
            for position, page in enumerate(read_pages(source, numbers, resolved, engine)):
                if parsed.format == "json":
                    # One JSON object a line, so that a long document can be used while it is still being read.
                    print(json.dumps(page.model_dump(mode="json"), ensure_ascii=False), flush=True)
                elif parsed.format == "md":
                    print(
                        ("\n" if position else "") + (page.text if page.markdown is None else page.markdown), flush=True
                    )
                else:
                    print(("\f" if position else "") + page.text, flush=True)
    except BrokenPipeError:
        # Whoever reads the output has seen enough (`| head`).
        sys.stderr.close()
        return 0
    except (QuireError, ValueError, OSError) as error:
        code = error.code if isinstance(error, QuireError) else "invalid_arguments"
        print(f"{parsed.file}: {code}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
