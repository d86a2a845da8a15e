"""Which pods there are: what RunPod lists, what the ledger knows, and what their workers say, brought together.

In what the policy sees a pod's id is its name: that is known before the pod is asked for.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from quire.burst.model import Pod, PodPhase
from quire.burst.runpod_pods import ListedPod
from quire.database import burst
from quire.database.burst import HEARD_SECONDS, moment
from quire.database.tables import BurstPod
from quire.database.workers import SeenWorker

logger = logging.getLogger(__name__)

# A pod that was asked for and that RunPod does not list is not there after so long; one that it has listed, sooner.
UNLISTED_SECONDS: Final = 120.0
_MISSING_SECONDS: Final = 20.0
# So long the controller itself has to see that a worker is not heard of: after an outage of Postgres none is, at first.
_SILENT_SECONDS: Final = 120.0
# A machine that is stopped is paid for as well, and useful to nobody.
_STOPPED: Final = ("EXITED", "PAUSED", "DEAD")


@dataclass(slots=True)
class Fleet:
    """What there is.

    Attributes:
        ids: RunPod's id of each pod, by name, where it is known.
        needless: RunPod's ids of what nobody wants: pods that have stopped, or that bear another one's name.
        never_there: names of pods that were asked for, and have turned out not to exist.
    """

    pods: tuple[Pod, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)
    needless: list[str] = field(default_factory=list)
    never_there: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Worker:
    """What the workers of a pod say; `is_known`: one has ever been heard of, `is_heard`: lately."""

    is_known: bool
    is_heard: bool
    is_draining: bool
    busy: bool


def reconcile(
    session: Session,
    listed: Sequence[ListedPod],
    heard: Sequence[SeenWorker],
    now: float,
    *,
    created_at: Callable[[str], float | None],
    drain_seconds: float,
    unknown_price: float,
) -> Fleet:
    """Bring the ledger up to date, and say what there is. What has our prefix and is not in the ledger is adopted.

    `created_at` reads the time out of a name; a pod that drains for `drain_seconds` is taken to be idle. A pod of which
    nobody says what it costs is taken to cost `unknown_price`.
    """
    fleet = Fleet()
    known = {row.name: row for row in burst.pods_there(session)}
    for row in known.values():
        _set_back(row, now)
    there = _by_name(listed, known, fleet)
    for name, pod in there.items():
        if name not in known:
            known[name] = _adopt(session, pod, now, created_at, unknown_price)
        _note_listed(known[name], pod, now)
    pods = []
    for name, row in known.items():
        said = _said_by([worker for worker in heard if row.pod_id is not None and worker.pod_id == row.pod_id])
        # Who is heard of is there, whatever the list says.
        if name not in there and not said.is_heard and _is_gone(row, now, fleet):
            continue
        if row.pod_id is not None:
            fleet.ids[name] = row.pod_id
        pods.append(_pod(row, said, now, drain_seconds))
    fleet.pods = tuple(pods)
    return fleet


def _set_back(row: BurstPod, now: float) -> None:
    """A clock that was ahead for a while must not make what was seen with it last until then."""
    latest = moment(now)
    for since in ("missing_since", "silent_since", "idle_since", "draining_since"):
        if (seen := getattr(row, since)) is not None and seen > latest:
            setattr(row, since, latest)


def _by_name(listed: Sequence[ListedPod], known: dict[str, BurstPod], fleet: Fleet) -> dict[str, ListedPod]:
    """One pod for each name: that of the ledger, else the first. What it costs is what all of its name cost."""
    alike: dict[str, list[ListedPod]] = defaultdict(list)
    for pod in listed:
        alike[pod.name].append(pod)
    chosen = {}
    for name, pods in alike.items():
        mine = known[name].pod_id if name in known else None
        one = next((pod for pod in pods if pod.id == mine), pods[0])
        fleet.needless += [pod.id for pod in pods if pod.id and (pod is not one or pod.status in _STOPPED)]
        chosen[name] = ListedPod(one.id, name, one.status, sum(pod.price_per_hour for pod in pods))
    return chosen


def _adopt(
    session: Session, pod: ListedPod, now: float, created_at: Callable[[str], float | None], unknown_price: float
) -> BurstPod:
    """A row for a pod that is not known to be there: one that nobody knows, or that was taken to be gone."""
    row = session.get(BurstPod, pod.name)
    logger.warning("pods: %s is there, and was %s: it is ours now", pod.name, "not known" if row is None else "gone")
    if row is None:
        since = min(created_at(pod.name) or now, now)
        price = pod.price_per_hour or unknown_price
        row = BurstPod(name=pod.name, price_per_hour=price, created_at=moment(since))
        session.add(row)
    row.gone_at = None
    return row


def _note_listed(row: BurstPod, pod: ListedPod, now: float) -> None:
    row.pod_id = pod.id or row.pod_id
    # What it has cost is not to become less when it is stopped.
    row.price_per_hour = max(row.price_per_hour, pod.price_per_hour)
    row.listed_at, row.missing_since = moment(now), None


def _is_gone(row: BurstPod, now: float, fleet: Fleet) -> bool:
    """Whether a pod that is not listed is gone; not at once, for one list may be wrong."""
    row.missing_since = row.missing_since or moment(now)
    missing = now - row.missing_since.timestamp()
    if row.listed_at is not None:
        is_gone = missing >= _MISSING_SECONDS
    else:
        is_gone = now - row.created_at.timestamp() >= UNLISTED_SECONDS
        if is_gone:
            fleet.never_there.add(row.name)
            fleet.needless += [row.pod_id] if row.pod_id is not None else []
    if is_gone:
        row.gone_at = row.missing_since
        logger.info("pods: %s is gone", row.name)
    return is_gone


def _said_by(workers: Sequence[SeenWorker]) -> _Worker:
    heard = [worker for worker in workers if worker.seen_seconds <= HEARD_SECONDS]
    is_draining = any(worker.asked_to_drain or worker.draining for worker in workers)
    busy = any(not worker.is_drained if is_draining else worker.busy for worker in heard)
    return _Worker(bool(workers), bool(heard), is_draining, busy)


def _pod(row: BurstPod, worker: _Worker, now: float, drain_seconds: float) -> Pod:
    phase, busy = _phase(row, worker, now, drain_seconds)
    is_idle = phase == "ready" and not busy
    row.idle_since = (row.idle_since or moment(now)) if is_idle else None
    return Pod(
        id=row.name,
        name=row.name,
        phase=phase,
        created_at=row.created_at.timestamp(),
        price_per_hour=row.price_per_hour,
        busy=busy,
        idle_since=None if row.idle_since is None else row.idle_since.timestamp(),
    )


def _phase(row: BurstPod, worker: _Worker, now: float, drain_seconds: float) -> tuple[PodPhase, bool]:
    """A pod's phase, and whether it is busy, as far as it matters: one that is given up is draining and idle."""
    if not worker.is_known:
        return "booting", False
    row.silent_since = None if worker.is_heard else row.silent_since or moment(now)
    if row.silent_since is not None and now - row.silent_since.timestamp() >= _SILENT_SECONDS:
        return "draining", False
    if not worker.is_draining:
        return "ready", worker.busy or not worker.is_heard
    row.draining_since = row.draining_since or moment(now)
    is_overdue = now - row.draining_since.timestamp() >= drain_seconds
    return "draining", not is_overdue and (worker.busy or not worker.is_heard)
