"""Doing something that only one process may do at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from quire.database.engine import statements


@contextmanager
def exclusively(database: Engine, key: int) -> Iterator[bool]:
    """Whether nobody else is in such a block with the same key, for as long as this one lasts.

    Postgres lets others in when it has lost the connection; whoever holds something that must not be done twice checks
    that itself.

    Raises:
        DatabaseUnreachable: Postgres could not be reached, or went away.
    """
    with statements(database) as session:
        taken = bool(session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
        try:
            yield taken
        finally:
            if taken:
                session.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
