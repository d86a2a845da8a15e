"""How far reading is, while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

_PROGRESS = """
    SELECT (SELECT count(*) FROM documents WHERE status IN ('queued', 'running')),
           (SELECT count(*) FROM pages WHERE status IN ('done', 'failed')),
           (SELECT count(*) FROM documents)
"""


@dataclass(frozen=True)
class Progress:
    """Documents that have not ended, pages that are done or failed, and all documents."""

    unfinished: int
    pages: int
    documents: int


def progress(url: str) -> Progress | None:
    """How far it is; None while Postgres does not answer."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return Progress(*connection.execute(_PROGRESS).fetchone() or (0, 0, 0))
    except psycopg.OperationalError:
        return None
