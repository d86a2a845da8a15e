"""Keeps a lease alive while the work it is for goes on, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from quire.database.engine import transaction
from quire.errors import DatabaseUnreachable

logger = logging.getLogger(__name__)


class Heartbeat:
    """Calls `renew` three times within `seconds`, until the `with` block ends. `lost` turns True when it says False."""

    def __init__(self, database: Engine, renew: Callable[[Session], bool], seconds: float) -> None:
        self._database = database
        self._renew = renew
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self.lost = False

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                with transaction(self._database) as session:
                    self.lost = not self._renew(session)
            except DatabaseUnreachable as error:
                # The lease may still be alive when Postgres is back; if not, the write will find out.
                logger.warning("lease not renewed: %s", error.message)
            if self.lost:
                return

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
