"""Which plans Postgres makes for the statements of a block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

Statement = tuple[str, Any]


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """The statements that are executed in the block, with their parameters."""
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        if not executemany:
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def full_scans(engine: Engine, statements: list[Statement]) -> list[str]:
    """The tables that a plan of these statements reads from one end to the other, each once.

    Nothing is executed. Statements without a plan (`SET`, `SAVEPOINT`) are passed over.
    """
    found: dict[str, None] = {}
    with engine.connect() as connection:
        for statement, parameters in statements:
            if statement.lstrip().split(None, 1)[0].upper() not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
                continue
            answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            plans = answer if isinstance(answer, list) else json.loads(answer)
            for plan in plans:
                found |= dict.fromkeys(_full_scans(plan["Plan"]))
    return list(found)


def _full_scans(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield str(node["Relation Name"])
    for child in node.get("Plans", ()):
        yield from _full_scans(child)
