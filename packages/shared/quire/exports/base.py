"""What every export is given, and what a format says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from quire.contracts import PageError, PageText
from quire.pages import PageLimits


@dataclass(frozen=True)
class ExportInfo:
    """What an export says of its document besides the pages.

    `page_count` is that of the document, not of the pages that were asked for. `sha256` is of the document's bytes, as
    hex. `errors` are the pages that failed. `limits` are for formats that open the document itself.
    """

    filename: str
    page_count: int
    sha256: str | None = None
    errors: tuple[PageError, ...] = ()
    limits: PageLimits = field(default_factory=PageLimits)


Writer = Callable[[ExportInfo, Iterator[PageText], BinaryIO, Path | None], None]


@dataclass(frozen=True)
class ExportFormat:
    """One form that a result can have. `suffix` begins with a dot.

    `needs_source`: it is made from the document's file as well. `one_page`: it has the first page it is given, no more.
    """

    name: str
    media_type: str
    suffix: str
    needs_source: bool
    write: Writer
    one_page: bool = False


def with_failed(pages: Iterable[PageText], errors: Iterable[PageError]) -> Iterator[PageText | PageError]:
    """The pages, and those that failed, by number; both ascend already, and only one page at a time is held."""
    failed = iter(errors)
    error = next(failed, None)
    for page in pages:
        while error is not None and error.page_number < page.page_number:
            yield error
            error = next(failed, None)
        yield page
    while error is not None:
        yield error
        error = next(failed, None)
