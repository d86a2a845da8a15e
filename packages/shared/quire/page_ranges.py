"""The `pages` option: `"1-3,7"`, `"5-"`; numbers start at 1."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quire.errors import InvalidPayload, PageOutOfRange

_PART = re.compile(r" *(?P<first>[1-9][0-9]{0,6}) *(?P<dash>- *(?P<last>[1-9][0-9]{0,6})?)? *")


def parse_page_ranges(text: str) -> list[tuple[int, int | None]]:
    """Split a page range into `(first, last)` pairs; `last` is None for an open end.

    Raises:
        InvalidPayload: the text is not of the form `"1-3,7,9-"`, or a range runs backwards.
    """
    ranges: list[tuple[int, int | None]] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise InvalidPayload('pages: this is no page range. Write for example "1-3,7" or "5-".')
        first = int(match["first"])
        last = first if match["dash"] is None else int(match["last"]) if match["last"] else None
        if last is not None and last < first:
            raise InvalidPayload("pages: a range runs backwards. Write the smaller number first.")
        ranges.append((first, last))
    return ranges


def select_pages(ranges: str | None, page_count: int, page_number: int | None = None) -> list[int]:
    """The page numbers, ascending and each once, that `ranges` selects of a document of `page_count` pages.

    Ranges may reach past the end as long as something is left; None selects every page. `page_number` selects one page
    and leaves `ranges` aside.

    Raises:
        InvalidPayload: `ranges` cannot be read.
        PageOutOfRange: no page is left.
    """
    if page_number is not None:
        ranges = str(page_number)
    if ranges is None:
        return list(range(1, page_count + 1))
    chosen: set[int] = set()
    for first, last in parse_page_ranges(ranges):
        chosen.update(range(first, min(page_count, last if last is not None else page_count) + 1))
    if not chosen:
        raise PageOutOfRange(f"pages={ranges!r} selects nothing: the document has {page_count} page(s).")
    return sorted(chosen)


def format_pages(numbers: Sequence[int]) -> str:
    """Ascending page numbers as a range that selects them and no others, such as `"1-3,7"`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)
