"""Keeps a lease alive while its pages are being read, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from sqlalchemy import Engine

from quire.database import leases
from quire.database.engine import transaction
from quire.errors import DatabaseUnreachable

logger = logging.getLogger(__name__)


class Heartbeat:
    """Renews a lease three times within its life, until the `with` block ends. `lost` turns True when it is gone."""

    def __init__(self, database: Engine, lease: leases.Lease, seconds: float) -> None:
        self._database = database
        self._lease = lease
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self.lost = False

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                with transaction(self._database) as session:
                    self.lost = not leases.renew(session, self._lease, seconds=self._seconds)
            except DatabaseUnreachable as error:
                # The lease may still be alive when Postgres is back; if not, the write will find out.
                logger.warning("lease on document %s not renewed: %s", self._lease.document_id, error.message)
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
