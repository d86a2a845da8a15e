"""Writes what only this process knows, and waits for Postgres where it is away: else the work is lost, and counts."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from quire.database.engine import transaction
from quire.errors import DatabaseUnreachable

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = (0.2, 1.0)


def record(database: Engine, write: Callable[[Session], T], draining: Callable[[], bool]) -> T:
    """What `write` returns, once it is committed. It may run again although it was: the answer to a commit can be lost.

    Raises:
        DatabaseUnreachable: Postgres was away for two minutes, or while the worker was to end.
    """
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    while True:
        try:
            with transaction(database) as session:
                return write(session)
        except DatabaseUnreachable as error:
            if draining() or time.monotonic() > deadline:
                raise
            logger.warning("not written yet: %s", error.message)
        time.sleep(random.uniform(*_PAUSE_SECONDS))
