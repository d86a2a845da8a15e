"""What the controller of rented capacity sees and remembers: work, its state, and the ledger of its pods.

A pod has a row, committed, before the platform is asked for it: a controller that dies in between leaves a trace of
what may be running, and every limit counts it. Times are the caller's, in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from quire.burst.model import Work
from quire.burst.policy import PolicyState
from quire.burst.rates import Crew, Rates, learn, local_rate
from quire.database import backlog, workers
from quire.database.tables import BurstPod, BurstState
from quire.database.workers import SeenWorker

# A worker that has not been heard of for so long does not read.
HEARD_SECONDS: Final = 45.0
# `backlog.observe` gives the average of so long.
_SETTLED_SECONDS: Final = 300.0

_BEGIN = text("""
    INSERT INTO burst_state AS s (id, fence) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET fence = s.fence + 1 RETURNING fence
""")

_STOP = text("""
    INSERT INTO burst_state AS s (id, fence, stopped) VALUES (1, 1, :stopped)
    ON CONFLICT (id) DO UPDATE SET fence = s.fence + 1, stopped = :stopped,
        policy = s.policy - ARRAY['booting', 'failed_boots', 'closed_until']
""")

_CLOSE = text("""
    UPDATE burst_state SET policy = policy || jsonb_build_object('closed_until', CAST(:until AS double precision))
    WHERE fence = :fence
""")

# The lock on the state makes whoever begins now wait until the row is there to be seen.
_INTEND = text("""
    WITH mine AS (SELECT id FROM burst_state WHERE fence = :fence AND NOT stopped FOR SHARE)
    INSERT INTO burst_pods (name, price_per_hour, created_at)
    SELECT :name, :price, :now FROM mine RETURNING name
""")

_SPENT = text("""
    SELECT coalesce(sum(price_per_hour / 3600 * greatest(0,
        extract(epoch FROM least(coalesce(gone_at, :now), :now) - greatest(created_at, :since)))), 0)
    FROM burst_pods
    WHERE gone_at IS NULL OR (gone_at > :since AND listed_at IS NOT NULL)
""")


def moment(now: float) -> datetime:
    """Seconds since the epoch as the time that rows hold."""
    return datetime.fromtimestamp(now, UTC)


# --- Work -------------------------------------------------------------------------------------------------------------


def observe_work(session: Session, *, ocr_queue: str, expected_page_seconds: float, remember: bool = True) -> Work:
    """What there is to do, and how fast it is done by local workers and by pods; what that teaches is remembered."""
    seen = backlog.observe(session)
    readers = [
        worker
        for worker in workers.seen_since(session, HEARD_SECONDS)
        if ocr_queue in worker.queue.split(",") and not (worker.draining or worker.asked_to_drain)
    ]
    crew, rates = _crew_of(readers), _state(session).rates
    known = Rates.from_json(rates)
    if seen.waiting_pages:
        known = learn(known, seen.local_pages_per_second, crew, expected_page_seconds=expected_page_seconds)
        if remember and known.to_json() != rates:
            session.execute(update(BurstState).values(rates=known.to_json()))
    local = local_rate(known, crew)
    return replace(
        seen,
        page_seconds=known.page_seconds or expected_page_seconds,
        local_pages_per_second=local if crew.pods else max(local, seen.local_pages_per_second),
    )


def _crew_of(readers: Sequence[SeenWorker]) -> Crew:
    old = [(worker.seen_at - worker.started_at).total_seconds() >= _SETTLED_SECONDS for worker in readers]
    return Crew(
        local_processes=sum(worker.processes for worker in readers if worker.pod_id is None),
        pods=len({worker.pod_id for worker in readers} - {None}),
        is_settled=all(old) and all(worker.busy for worker in readers),
    )


# --- State ------------------------------------------------------------------------------------------------------------


def begin(session: Session) -> int:
    """Begin to act; the number that `intend` and `remember` want. Whoever had begun before does nothing any more."""
    return int(session.execute(_BEGIN).scalar_one())


def state(session: Session) -> BurstState:
    """What is remembered; all of it at its default where nothing is."""
    return _state(session)


def _state(session: Session) -> BurstState:
    found = session.get(BurstState, 1)
    return BurstState(id=1, fence=0, stopped=False, policy={}, rates={}) if found is None else found


def remember(session: Session, fence: int, policy: PolicyState, *, now: float, decision: str) -> bool:
    """Write down what the policy remembers and why it decided so; False if somebody else has begun."""
    changed = session.execute(
        update(BurstState)
        .where(BurstState.fence == fence)
        .values(policy=policy.to_json(), ticked_at=moment(now), decision=decision)
        .returning(BurstState.id)
    )
    return changed.first() is not None


def close(session: Session, fence: int, *, until: float) -> None:
    """Have the policy rent nothing before this; nothing is changed if somebody else has begun."""
    session.execute(_CLOSE, {"fence": fence, "until": until})


def set_stopped(session: Session, stopped: bool) -> None:
    """Rent nothing from now on, also not in a tick that has begun; or rent again. Boots that failed are forgotten."""
    session.execute(_STOP, {"stopped": stopped})


# --- Ledger -----------------------------------------------------------------------------------------------------------


def intend(session: Session, fence: int, name: str, price_per_hour: float, now: float) -> bool:
    """Write down a pod that is about to be asked for; False if somebody else has begun, or renting was stopped."""
    given = {"fence": fence, "name": name, "price": price_per_hour, "now": moment(now)}
    return session.execute(_INTEND, given).first() is not None


def note_made(session: Session, name: str, pod_id: str, price_per_hour: float) -> None:
    """The platform answered: the pod is there."""
    session.execute(update(BurstPod).where(BurstPod.name == name).values(pod_id=pod_id, price_per_hour=price_per_hour))


def forget(session: Session, name: str) -> None:
    """The platform answered that there is no such pod, and never was."""
    session.execute(delete(BurstPod).where(BurstPod.name == name))


def pods_there(session: Session) -> list[BurstPod]:
    """Pods that are not known to be gone, the oldest first."""
    there = select(BurstPod).where(BurstPod.gone_at.is_(None))
    return list(session.scalars(there.order_by(BurstPod.created_at, BurstPod.name)))


def spent(session: Session, *, since: float, now: float) -> float:
    """USD that pods have cost in this time."""
    return float(session.execute(_SPENT, {"since": moment(since), "now": moment(now)}).scalar_one())


def spent_today(session: Session, now: float) -> float:
    """USD since midnight UTC."""
    midnight = moment(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return spent(session, since=midnight.timestamp(), now=now)


def drop_gone(session: Session, *, before: float) -> None:
    """Forget pods that were gone before this."""
    session.execute(delete(BurstPod).where(BurstPod.gone_at < moment(before)))
