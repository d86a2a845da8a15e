"""The world that a scaler acts in: pages that wait, local workers, pods that boot, fail, are killed and cost money."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.burst.traces import Trace
from quire.burst.model import Decision, Observation, Pod, Work

# Pages that a pod has leased while it works, and how long those of one that is gone are nobody's.
_LEASED_BY_POD: Final = 16
_LEASE_SECONDS: Final = 45.0
_STEP_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 15.0
# From the request to end a pod until it is not paid for any more.
_END_SECONDS: Final = 5.0
# After the last arrival, until what has not been read by then counts as it is.
_LONGEST_SECONDS: Final = 48 * 3600.0


@dataclass(frozen=True)
class Place:
    """What is assumed of workers and pods. Times are seconds, prices USD, rates pages a second."""

    local_rate: float = 1.0
    page_seconds: float = 0.1
    price_per_hour: float = 0.5
    cold_start: float = 90.0
    boot_failures: float = 0.05
    kills_per_hour: float = 0.02


class Scaler(Protocol):
    """Decides from what it sees, every `_POLL_SECONDS`."""

    def decide(self, seen: Observation) -> Decision:
        """What to rent, to drain and to end."""
        ...


@dataclass
class _Pod:
    id: str
    created_at: float
    ready_at: float
    dies_at: float
    draining: bool = False
    ending_at: float | None = None
    idle_since: float | None = None
    credit: float = 0.0
    busy: bool = False


@dataclass
class _Document:
    arrived_at: float
    pages: int
    waiting_since: float


@dataclass
class Outcome:
    """What came of a trace.

    Attributes:
        waits: seconds from a page's arrival until it was read, one each.
        usd: what all pods cost.
        pods: how many were rented; `most_pods`: at the same time.
        idle_seconds: of pods that had booted and read nothing.
        left: pods there when nothing had been left to do for two hours.
        most_per_hour: the greatest sum of prices at one time.
        unread: pages that were never read.
    """

    waits: list[float] = field(default_factory=list)
    usd: float = 0.0
    pods: int = 0
    most_pods: int = 0
    idle_seconds: float = 0.0
    left: int = 0
    most_per_hour: float = 0.0
    unread: int = 0


class World:
    """One run. Documents take turns, page by page, as in the page flow."""

    def __init__(self, trace: Trace, place: Place, seed: int) -> None:
        self._place = place
        self._chance = random.Random(seed)
        self._arrivals = deque(trace)
        self._queue: deque[_Document] = deque()
        self._lost: deque[tuple[float, float]] = deque()
        self._pods: dict[str, _Pod] = {}
        self._local_credit = 0.0
        self._waiting = 0
        self._spent_by_day: dict[int, float] = {}
        self.now = 0.0
        self.outcome = Outcome()

    def run(self, scaler: Scaler) -> Outcome:
        """Go on until everything is read and nothing has happened for two hours."""
        last = self._arrivals[-1].at if self._arrivals else 0.0
        quiet, next_look = 0.0, 0.0
        while quiet < 7200.0 and self.now < last + _LONGEST_SECONDS:
            if self.now >= next_look:
                self._obey(scaler.decide(self.observe()))
                next_look = self.now + _POLL_SECONDS
            self._step()
            is_quiet = not (self._arrivals or self._queue or self._lost)
            quiet = quiet + _STEP_SECONDS if is_quiet else 0.0
            if is_quiet and not self._pods and quiet > 600.0:
                break
        self.outcome.left = len(self._pods)
        self.outcome.unread = self._waiting + len(self._lost) + sum(each.pages for each in self._arrivals)
        return self.outcome

    def observe(self) -> Observation:
        """What a controller sees."""
        busy = sum(pod.busy for pod in self._pods.values())
        leased = min(self._waiting, busy * _LEASED_BY_POD) + len(self._lost)
        oldest = max((self.now - document.arrived_at for document in self._queue), default=0.0)
        work = Work(
            self._waiting - min(self._waiting, busy * _LEASED_BY_POD),
            leased,
            oldest,
            self._place.page_seconds,
            self._place.local_rate,
        )
        today = self._spent_by_day.get(int(self.now // 86_400), 0.0)
        pods = tuple(self._as_seen(pod) for pod in self._pods.values())
        return Observation(self.now, work, pods, today, self._place.price_per_hour)

    def _as_seen(self, pod: _Pod) -> Pod:
        is_booting = self.now < pod.ready_at
        return Pod(
            pod.id,
            pod.id,
            "draining" if pod.draining else "booting" if is_booting else "ready",
            pod.created_at,
            self._place.price_per_hour,
            pod.busy,
            None if pod.busy or is_booting else pod.idle_since,
        )

    def _obey(self, decision: Decision) -> None:
        for name in decision.drain:
            self._pods[name].draining = True
        for name in decision.terminate:
            self._end(self._pods[name])
        for _ in range(decision.create):
            self._rent()
        self.outcome.most_pods = max(self.outcome.most_pods, len(self._pods))
        self.outcome.most_per_hour = max(self.outcome.most_per_hour, len(self._pods) * self._place.price_per_hour)

    def _rent(self) -> None:
        self.outcome.pods += 1
        chance, place = self._chance, self._place
        fails = chance.random() < place.boot_failures
        boot = float("inf") if fails else place.cold_start * chance.lognormvariate(0.0, 0.35)
        dies = self.now + chance.expovariate(place.kills_per_hour / 3600.0) if place.kills_per_hour else float("inf")
        name = f"pod-{self.outcome.pods}"
        self._pods[name] = _Pod(name, self.now, self.now + boot, dies)

    def _end(self, pod: _Pod) -> None:
        if pod.ending_at is None:
            pod.ending_at = self.now + _END_SECONDS
            if pod.busy:
                self._lose_batch()
            pod.busy = False

    def _lose_batch(self) -> None:
        """What a pod worked on is nobody's until its leases have run out."""
        for _ in range(min(_LEASED_BY_POD, self._waiting)):
            self._lost.append((self.now + _LEASE_SECONDS, self._take()))

    def _take(self) -> float:
        """When the next page arrived that is to be read. Documents take turns."""
        document = self._queue.popleft()
        document.pages -= 1
        self._waiting -= 1
        if document.pages:
            self._queue.append(document)
        return document.arrived_at

    def _step(self) -> None:
        self.now += _STEP_SECONDS
        while self._arrivals and self._arrivals[0].at <= self.now:
            arrival = self._arrivals.popleft()
            self._queue.append(_Document(arrival.at, arrival.pages, arrival.at))
            self._waiting += arrival.pages
        while self._lost and self._lost[0][0] <= self.now:
            _, arrived_at = self._lost.popleft()
            self._queue.appendleft(_Document(arrived_at, 1, arrived_at))
            self._waiting += 1
        self._local_credit = self._read(min(self._local_credit + self._place.local_rate * _STEP_SECONDS, 8.0))
        for pod in list(self._pods.values()):
            self._step_pod(pod)

    def _step_pod(self, pod: _Pod) -> None:
        cost = self._place.price_per_hour * _STEP_SECONDS / 3600.0
        self.outcome.usd += cost
        day = int(self.now // 86_400)
        self._spent_by_day[day] = self._spent_by_day.get(day, 0.0) + cost
        if (pod.ending_at is not None and self.now >= pod.ending_at) or self.now >= pod.dies_at:
            if pod.busy:
                self._lose_batch()
            del self._pods[pod.id]
            return
        if self.now < pod.ready_at or pod.ending_at is not None:
            return
        before = self._waiting
        if not pod.draining:
            rate = _STEP_SECONDS / self._place.page_seconds
            pod.credit = self._read(min(pod.credit + rate, rate + 1))
        pod.busy = self._waiting < before and not pod.draining
        if pod.busy:
            pod.idle_since = None
        else:
            self.outcome.idle_seconds += _STEP_SECONDS
            pod.idle_since = pod.idle_since or self.now

    def _read(self, credit: float) -> float:
        """Read as many pages as there is time for; the time that is left."""
        while credit >= 1.0 and self._queue:
            self.outcome.waits.append(self.now - self._take())
            credit -= 1.0
        return credit
