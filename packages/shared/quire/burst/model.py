"""What the burst policy is shown and what it decides: plain values, so that a simulation drives the same policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PodPhase = Literal["booting", "ready", "draining"]


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do for the OCR queue.

    Attributes:
        waiting_pages: pages of unfinished documents that nobody has leased.
        leased_pages: pages that somebody works on now, wherever.
        oldest_seconds: how long the page that waits longest has waited; 0 when none waits.
        page_seconds: seconds that one pod needs for a page with all of its processes busy (a moving average).
        local_pages_per_second: what the workers that are not rented get done.
    """

    waiting_pages: int
    leased_pages: int
    oldest_seconds: float
    page_seconds: float
    local_pages_per_second: float


@dataclass(frozen=True, slots=True)
class Pod:
    """A rented machine of this deployment, found by the prefix of its name.

    Attributes:
        phase: `booting` until its worker has been heard of, `draining` once it was told to take no more.
        busy: it holds leases.
        created_at, idle_since: seconds since the epoch; `idle_since` is None while it is busy or boots.
        price_per_hour: USD.
    """

    id: str
    name: str
    phase: PodPhase
    created_at: float
    price_per_hour: float
    busy: bool
    idle_since: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at everything. `work` is None where it could not be read: then nothing is changed.

    Attributes:
        now: seconds since the epoch.
        spent_today: USD, since midnight UTC, of pods that are and pods that were.
        price_per_hour: USD that one more pod would cost; None where nothing is on offer.
    """

    now: float
    work: Work | None
    pods: tuple[Pod, ...]
    spent_today: float
    price_per_hour: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Attributes:
        create: pods to rent.
        drain: ids of pods that shall take no more pages.
        terminate: ids of pods to end, and to see gone.
        reason: one sentence with the numbers it rests on, for the log and `quire burst --dry-run`.
    """

    create: int = 0
    drain: tuple[str, ...] = ()
    terminate: tuple[str, ...] = ()
    reason: str = ""
