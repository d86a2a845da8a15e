"""What it costs Postgres to keep a page's detections and words as `jsonb`, as `json`, or compressed by the worker."""

from __future__ import annotations

import time
from typing import Any, Final

from psycopg import Connection
from psycopg.types.json import Json, Jsonb
from pydantic import TypeAdapter

from benchmarks.scale.database import Database
from benchmarks.scale.receipt_pages import receipt_page
from quire.contracts import Detection, Word
from quire.database.compressed import compress

_WARM_UP: Final = 20


def compare(database: Database, pages: int = 400) -> dict[str, dict[str, float]]:
    """By kind of column: milliseconds to insert a page over one connection, commits not waiting, and its bytes."""
    page = receipt_page(1)
    detections = TypeAdapter(tuple[Detection, ...]).dump_json(page.detections)
    parts = [detections, TypeAdapter(tuple[Word, ...]).dump_json(page.words)]
    values: dict[str, list[Any]] = {
        "jsonb": [Jsonb(part, dumps=_as_it_is) for part in parts],
        "json": [Json(part, dumps=_as_it_is) for part in parts],
        "bytea": [compress(part) for part in parts],
    }
    with Connection.connect(database.url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        return {kind: _measure(connection, kind, content, pages) for kind, content in values.items()}


def _as_it_is(part: bytes) -> bytes:
    return part


def _measure(connection: Connection[Any], kind: str, content: list[Any], pages: int) -> dict[str, float]:
    connection.execute(f"CREATE TEMPORARY TABLE kept_{kind} (detections {kind}, words {kind})")
    insert = f"INSERT INTO kept_{kind} VALUES (%b, %b)"
    for _ in range(_WARM_UP):
        connection.execute(insert, content)
    started = time.perf_counter()
    for _ in range(pages):
        connection.execute(insert, content)
    milliseconds = (time.perf_counter() - started) * 1000 / pages
    size = connection.execute(f"SELECT pg_column_size(detections) + pg_column_size(words) FROM kept_{kind}").fetchone()
    return {"milliseconds": round(milliseconds, 3), "bytes": float(size[0]) if size else 0.0}
