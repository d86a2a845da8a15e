"""Where the time of documents went, from what the page flow wrote into Postgres; the clock is the server's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Final

from sqlalchemy import create_engine, text

_TIMES: Final = text("""
    SELECT extract(epoch FROM d.created_at) AS created, extract(epoch FROM d.started_at) AS started,
           extract(epoch FROM d.finished_at) AS finished,
           (SELECT coalesce(sum(t.value::float8), 0) FROM pages p, jsonb_each_text(p.timings) t
            WHERE p.document_id = d.id) AS read_milliseconds
    FROM documents d WHERE d.id = ANY(CAST(:ids AS uuid[])) ORDER BY d.started_at
""")


@dataclass(frozen=True)
class PageTimes:
    """Medians in milliseconds over documents of one page that one process read, one after the other.

    `processing` is from the beginning of a document's plan to the write of its page. It consists of `reading` (decode,
    render, OCR) and `around` (fetch, open, plan, lease). `between` is from one document's write to the next one's
    plan: commit, acknowledgement, and the next message. `wall` is seconds from the first arrival to the last write.
    """

    processing: float
    reading: float
    around: float
    between: float
    wall: float


def page_times(database_url: str, ids: Sequence[str]) -> PageTimes:
    """The times of these documents."""
    rows = _rows(database_url, ids)
    processing = [(row.finished - row.started) * 1000 for row in rows]
    reading = [row.read_milliseconds for row in rows]
    between = [(later.started - earlier.finished) * 1000 for earlier, later in pairwise(rows)]
    return PageTimes(
        processing=median(processing),
        reading=median(reading),
        around=median(whole - read for whole, read in zip(processing, reading, strict=True)),
        between=median(between) if between else 0.0,
        wall=max(row.finished for row in rows) - min(row.created for row in rows),
    )


def document_seconds(database_url: str, document_id: str) -> tuple[float, float]:
    """Of one document: seconds from its arrival to its end, and how many of these were spent reading pages."""
    (row,) = _rows(database_url, [document_id])
    return row.finished - row.created, row.read_milliseconds / 1000


@dataclass(frozen=True)
class _Row:
    created: float
    started: float
    finished: float
    read_milliseconds: float


def _rows(database_url: str, ids: Sequence[str]) -> list[_Row]:
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            found: Sequence[Any] = connection.execute(_TIMES, {"ids": list(ids)}).all()
    finally:
        engine.dispose()
    return [
        _Row(float(row.created), float(row.started), float(row.finished), float(row.read_milliseconds))
        for row in found
        if row.finished is not None and row.started is not None
    ]
