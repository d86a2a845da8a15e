"""Workers as the database knows them: each says every few seconds that it is there, and hears whether to drain.

All times are the database's: the clocks of rented machines do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# Of workers that are not heard of any more. It outlives the pod: one that restarts its command hears that it drains.
_KEPT_DAYS: Final = 7

# A pod that was asked is asked for good, also when its worker has been started again since.
_NOTE = text("""
    INSERT INTO workers AS w (id, name, host, queue, pod_id, processes, draining, busy, started_at, seen_at)
    VALUES (:id, :name, :host, :queue, :pod_id, :processes, :draining, :busy,
        now() - make_interval(secs => :uptime_seconds), now())
    ON CONFLICT (id) DO UPDATE SET queue = excluded.queue, processes = excluded.processes,
        draining = excluded.draining, busy = excluded.busy, seen_at = now()
    RETURNING w.drain_asked_at IS NOT NULL OR EXISTS (
        SELECT FROM workers asked WHERE asked.pod_id = w.pod_id AND asked.drain_asked_at IS NOT NULL)
""")

_SEEN_SINCE = text("""
    SELECT id, name, host, queue, pod_id, processes, draining, busy,
        w.drain_asked_at IS NOT NULL OR EXISTS (
            SELECT FROM workers asked WHERE asked.pod_id = w.pod_id AND asked.drain_asked_at IS NOT NULL
        ) AS asked_to_drain,
        started_at, seen_at, extract(epoch FROM now() - seen_at)::float8 AS seen_seconds
    FROM workers w WHERE seen_at > now() - make_interval(secs => :seconds)
    ORDER BY started_at, id
""")

_ASK_PODS = text("""
    UPDATE workers SET drain_asked_at = coalesce(drain_asked_at, now()) WHERE pod_id = ANY(:pod_ids)
    RETURNING pod_id
""")

_ASK_NAMES = text("""
    UPDATE workers SET drain_asked_at = coalesce(drain_asked_at, now())
    WHERE name = ANY(:names) AND seen_at > now() - make_interval(secs => :seconds)
    RETURNING name
""")

_FORGET = text("DELETE FROM workers WHERE seen_at < now() - make_interval(days => :days)")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker says of itself: the columns of `quire.database.tables.Worker`, and seconds since its start."""

    id: UUID
    name: str
    host: str
    queue: str
    pod_id: str | None
    processes: int
    draining: bool
    busy: bool
    uptime_seconds: float


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker when it was last heard of, `seen_seconds` ago."""

    id: UUID
    name: str
    host: str
    queue: str
    pod_id: str | None
    processes: int
    draining: bool
    busy: bool
    asked_to_drain: bool
    started_at: datetime
    seen_at: datetime
    seen_seconds: float

    @property
    def is_drained(self) -> bool:
        """Whether nothing is lost if it ends now: it takes no more tasks and holds none."""
        return self.draining and not self.busy


def note(session: Session, heartbeat: Heartbeat) -> bool:
    """Write down that a worker is there. Returns whether it is asked to take no more tasks."""
    return bool(session.execute(_NOTE, asdict(heartbeat)).scalar_one())


def seen_since(session: Session, seconds: float) -> list[SeenWorker]:
    """The workers heard of within so many seconds, the oldest first."""
    return [SeenWorker(**row) for row in session.execute(_SEEN_SINCE, {"seconds": seconds}).mappings()]


def ask_to_drain(session: Session, pod_ids: Sequence[str]) -> set[str]:
    """Ask all workers of these pods to take no more tasks, also those that a pod starts from now on.

    Returns the pods that are asked; the others have no worker that was ever heard of.
    """
    return set(session.execute(_ASK_PODS, {"pod_ids": list(pod_ids)}).scalars())


def ask_workers_to_drain(session: Session, names: Sequence[str], *, seconds: float) -> set[str]:
    """Ask the workers of these names that were heard of within so many seconds. Returns the names that are asked."""
    return set(session.execute(_ASK_NAMES, {"names": list(names), "seconds": seconds}).scalars())


def forget_old(session: Session) -> None:
    """Delete workers that have not been heard of for days."""
    session.execute(_FORGET, {"days": _KEPT_DAYS})
