"""Pages of a document, a few at a time, finished or not; and those that a text is on."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from quire.contracts import Box
from quire.database.tables import Page

_STATUSES: dict[str, str] = {"pending": "pending", "running": "leased", "done": "done", "failed": "failed"}
# What a page has most of.
_PLACES = (Page.detections, Page.words, Page.blocks, Page.transform)
# Pages whose text is in memory at once.
_AT_ONCE = 200


@dataclass(frozen=True)
class Match:
    """A line that a text was found in. `line` is its index on the page, from 0; `box` is in pixels of the image."""

    page_number: int
    line: int
    text: str
    box: Box


def list_pages(
    session: Session,
    document_id: UUID,
    *,
    limit: int,
    after: int = 0,
    status: Literal["pending", "running", "done", "failed"] | None = None,
    text_only: bool = False,
) -> list[Page]:
    """The first `limit` pages with a number greater than `after`. With `text_only` boxes are not read."""
    statement = select(Page).where(Page.document_id == document_id, Page.number > after)
    if status is not None:
        statement = statement.where(Page.status == _STATUSES[status])
    if text_only:
        statement = statement.options(*(defer(column) for column in _PLACES))
    return list(session.scalars(statement.order_by(Page.number).limit(limit)))


def get_page(session: Session, document_id: UUID, number: int) -> Page | None:
    """One page, or None."""
    return session.get(Page, (document_id, number))


def search(session: Session, document_id: UUID, wanted: str, *, after: int = 0) -> Iterator[Match]:
    """Lines that contain a text, page by page from the one after `after`. Case and accents make no difference.

    None for a text of nothing but spaces and accents, of which nothing is left to look for.
    """
    folded = fold(wanted)
    if not folded:
        return
    while pages := read_texts(session, document_id, after=after):
        for number, text in pages:
            if folded in fold(text or ""):
                yield from _lines(session, document_id, number, folded)
        after = pages[-1][0]


def fold(text: str) -> str:
    """A text as it is compared: without case, accents, and what runs of white space consist of."""
    decomposed = unicodedata.normalize("NFKD", text)
    if not decomposed.isascii():
        decomposed = "".join(each for each in decomposed if not unicodedata.combining(each))
    # After that, since what one sign stands for has a case of its own: ™, TM.
    return " ".join(decomposed.casefold().split())


def read_texts(session: Session, document_id: UUID, *, after: int = 0) -> list[tuple[int, str | None]]:
    """Numbers and texts of pages that were read: some of those after `after`, none at the end."""
    statement = (
        select(Page.number, Page.text)
        .where(Page.document_id == document_id, Page.number > after, Page.status == "done")
        .order_by(Page.number)
        .limit(_AT_ONCE)
    )
    return [(number, text) for number, text in session.execute(statement)]


def _lines(session: Session, document_id: UUID, number: int, folded: str) -> Iterator[Match]:
    detections = session.scalar(select(Page.detections).where(Page.document_id == document_id, Page.number == number))
    for line, found in enumerate(detections or ()):
        if folded in fold(found["text"]):
            yield Match(number, line, found["text"], found["box"])
