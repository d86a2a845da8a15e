"""How many pods there should be: a function of what is seen now and a few remembered numbers, which touches nothing.

Pods are rented while what waits would outlive a cold start, enough of them to be through with it in
`target_seconds`, and given back one by one when less than a pod's worth of work has been left for a while. Of what
costs money without end, a leak is the worst: limits on pods, on USD an hour and a day, on a pod's life and on
failed boots hold whatever the work says. What cannot be read changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from quire.burst.model import Decision, Observation, Pod, Work
from quire.settings import Settings

_SECONDS_AN_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Thresholds. Times are in seconds, prices in USD.

    Attributes:
        target_seconds: what waits should be done in so long, once pods are there.
        oldest_seconds: a page that has waited so long asks for a pod, however little waits.
        cold_start_seconds: from renting a pod to its first page.
        boot_seconds: after so long a pod that has not been heard of is given up.
        polls: so many looks in a row must ask for more pods.
        idle_seconds: a pod is given back after so long with less work than it is there for.
        most_pods, most_per_hour, most_per_day: never more than these.
        lifetime_seconds: a pod is drained at this age, before the platform ends it.
        failed_boots: so many in a row, and nothing is rented for `breaker_seconds`; then one pod is tried.
    """

    target_seconds: float = 60.0
    oldest_seconds: float = 180.0
    cold_start_seconds: float = 90.0
    boot_seconds: float = 600.0
    polls: int = 1
    idle_seconds: float = 120.0
    most_pods: int = 4
    most_per_hour: float = 5.0
    most_per_day: float = 25.0
    lifetime_seconds: float = 6 * _SECONDS_AN_HOUR
    failed_boots: int = 3
    breaker_seconds: float = 1800.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The thresholds that `QUIRE_BURST_*` set."""
        return cls(
            target_seconds=settings.quire_burst_target_seconds,
            oldest_seconds=settings.quire_burst_oldest_seconds,
            cold_start_seconds=settings.quire_burst_cold_start_seconds,
            boot_seconds=settings.quire_burst_boot_seconds,
            polls=settings.quire_burst_polls,
            idle_seconds=settings.quire_burst_idle_seconds,
            most_pods=settings.quire_burst_max_pods,
            most_per_hour=settings.quire_burst_max_per_hour,
            most_per_day=settings.quire_burst_max_per_day,
            lifetime_seconds=settings.quire_burst_lifetime_seconds,
        )


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What is remembered from one look to the next; times are seconds since the epoch.

    Attributes:
        asked: looks in a row that asked for more pods.
        spare_since: since when there has been less work than the pods are there for; None while there is enough.
        failed_boots: pods in a row that were given up before anything was heard of them.
        closed_until: nothing is rented before this.
        booting: ids of the pods that booted at the last look.
        ending: ids of the pods that were told to end. They end, whatever is seen of them from then on.
    """

    asked: int = 0
    spare_since: float | None = None
    failed_boots: int = 0
    closed_until: float = 0.0
    booting: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a column of Postgres."""
        return asdict(self) | {"booting": list(self.booting), "ending": list(self.ending)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` gave; what is unknown to this version is left out."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**known | {name: tuple(data.get(name, ())) for name in ("booting", "ending")})


def decide(observation: Observation, state: PolicyState, settings: PolicySettings) -> tuple[Decision, PolicyState]:
    """What to do now, and what to remember until the next look."""
    state = _note_boots(observation, state, settings)
    overdue = tuple(pod.id for pod in observation.pods if _is_overdue(pod, observation.now, settings))
    finished = tuple(
        pod.id for pod in observation.pods if pod.phase == "draining" and not pod.busy and pod.id not in overdue
    )
    if observation.work is None:
        # They cost money and do nothing, whatever the work is.
        reason = "What waits could not be read: no pods are rented or drained."
        return Decision(terminate=overdue + finished, reason=reason), state
    usable = [pod for pod in observation.pods if pod.phase != "draining" and pod.id not in overdue]
    aged = tuple(
        pod.id
        for pod in usable
        if pod.phase == "ready" and observation.now - pod.created_at >= settings.lifetime_seconds
    )
    staying = [pod for pod in usable if pod.id not in aged]
    wanted = wanted_pods(observation.work, len(staying), settings)
    seen = _describe(observation.work, staying, wanted)
    asked = state.asked + 1 if wanted > len(staying) else 0
    state = replace(state, asked=asked)
    create, limit = _may_rent(observation, state, settings, wanted - len(staying))
    drain, state = _spare(observation, state, settings, staying, wanted)
    decision = Decision(create, aged + drain, overdue + finished, _reason(seen, create, aged, drain, overdue, limit))
    return decision, state


def wanted_pods(work: Work, pods: int, settings: PolicySettings) -> int:
    """How many pods this work is worth, with `pods` of them there (booting or at work)."""
    if not work.waiting_pages:
        return 0
    pages, local = work.waiting_pages + work.leased_pages, work.local_pages_per_second
    is_late = work.oldest_seconds >= settings.oldest_seconds - settings.cold_start_seconds
    # So long the local workers alone would take. To rent takes more than to keep, or pods would come and go.
    alone = pages / local if local > 0 else math.inf
    enough = settings.target_seconds / 2 if pods else settings.cold_start_seconds + settings.target_seconds
    if alone <= enough and not is_late:
        return 0
    return max(1, math.ceil((pages / settings.target_seconds - local) * work.page_seconds))


def _note_boots(observation: Observation, state: PolicyState, settings: PolicySettings) -> PolicyState:
    """Count the boots that ended since the last look: one that came up makes up for those that did not."""
    booting = {pod.id: pod for pod in observation.pods if pod.phase == "booting"}
    # A clock that was ahead for a while must not keep anything closed until then.
    failed, closed_until = state.failed_boots, min(state.closed_until, observation.now + settings.breaker_seconds)
    if any(pod.id in state.booting and pod.phase == "ready" for pod in observation.pods):
        failed, closed_until = 0, 0.0
    lost = [name for name in state.booting if name not in {pod.id for pod in observation.pods}]
    late = {name for name, pod in booting.items() if _is_overdue(pod, observation.now, settings)}
    # One that is late is counted once, however long it takes to go.
    new = len(lost) + len(late & set(state.booting))
    failed += new
    if new and failed >= settings.failed_boots:
        # After the pause a single pod is tried; its failure closes again.
        closed_until = observation.now + settings.breaker_seconds
    remembered = tuple(sorted(name for name in booting if name not in late))
    return replace(state, failed_boots=failed, closed_until=closed_until, booting=remembered)


def _is_overdue(pod: Pod, now: float, settings: PolicySettings) -> bool:
    """Whether a pod has had its time: to boot, or altogether with as much again as draining may take."""
    age = now - pod.created_at
    if pod.phase == "booting":
        return age >= settings.boot_seconds
    return age >= settings.lifetime_seconds + settings.boot_seconds


def _may_rent(observation: Observation, state: PolicyState, settings: PolicySettings, more: int) -> tuple[int, str]:
    """How many of `more` pods may be rented now, and what keeps the others from it."""
    if more <= 0:
        return 0, ""
    if state.asked < settings.polls:
        return 0, f"waiting for {settings.polls} looks in a row that agree"
    if observation.now < state.closed_until:
        has_failed = state.failed_boots >= settings.failed_boots
        why = f"{state.failed_boots} pods in a row did not boot" if has_failed else "one cost more than it may"
        return 0, f"{why}, none for {state.closed_until - observation.now:.0f} s"
    if observation.price_per_hour is None:
        return 0, "nothing is on offer"
    # Those that are being ended are paid for until they are seen gone.
    limits = {
        "most pods": settings.most_pods - len(observation.pods),
        "USD an hour": _affordable(
            settings.most_per_hour - sum(pod.price_per_hour for pod in observation.pods), observation.price_per_hour
        ),
        "USD a day": _affordable(
            settings.most_per_day - observation.spent_today - _committed(observation, settings),
            observation.price_per_hour * _at_least_hours(settings),
        ),
        "after failed boots one": 1 - len(state.booting) if state.failed_boots >= settings.failed_boots else more,
    }
    name, most = min(limits.items(), key=lambda each: each[1])
    return max(0, min(more, most)), f"limited by {name}" if most < more else ""


def _affordable(budget: float, price: float) -> int:
    if price <= 0:
        return math.floor(1e6) if budget >= 0 else 0
    # As far as numbers like 0.1 can be added up.
    return max(0, math.floor(budget / price + 1e-9))


def _at_least_hours(settings: PolicySettings) -> float:
    """What a pod costs before it can be of use and be given back."""
    return (settings.cold_start_seconds + settings.idle_seconds) / _SECONDS_AN_HOUR


def _committed(observation: Observation, settings: PolicySettings) -> float:
    """What the pods there are will cost at least until they can be gone."""
    return sum(pod.price_per_hour for pod in observation.pods) * _at_least_hours(settings)


def _spare(
    observation: Observation, state: PolicyState, settings: PolicySettings, staying: list[Pod], wanted: int
) -> tuple[tuple[str, ...], PolicyState]:
    """Which pods are to be drained: all that are idle when none is wanted, else the one that was idle longest.

    At most once in `idle_seconds`: what has been drained shows in how fast the rest goes.
    """
    spent = observation.spent_today + _committed(observation, settings)
    if spent >= settings.most_per_day:
        # Nothing may be left to pay for tomorrow's first page.
        return tuple(pod.id for pod in staying if pod.phase == "ready"), replace(state, spare_since=None)
    ready = [pod for pod in staying if pod.phase == "ready"]
    if wanted >= len(staying) or not ready:
        return (), replace(state, spare_since=None)
    since = observation.now if state.spare_since is None else min(state.spare_since, observation.now)
    if observation.now - since < settings.idle_seconds:
        return (), replace(state, spare_since=since)
    longest = sorted(ready, key=lambda pod: (pod.busy, pod.idle_since or math.inf, pod.created_at, pod.id))
    idle = [pod for pod in longest if not pod.busy]
    chosen = idle if wanted == 0 and idle else longest[:1]
    return tuple(pod.id for pod in chosen), replace(state, spare_since=observation.now)


def _describe(work: Work, staying: list[Pod], wanted: int) -> str:
    return (
        f"{work.waiting_pages:,} pages wait and {work.leased_pages:,} are worked on, the oldest for "
        f"{work.oldest_seconds:.0f} s, at {work.page_seconds:.2f} s a page on a pod and "
        f"{work.local_pages_per_second:.2f} pages/s elsewhere: {wanted} pods wanted, {len(staying)} there"
    )


def _reason(
    seen: str, create: int, aged: tuple[str, ...], drain: tuple[str, ...], overdue: tuple[str, ...], limit: str
) -> str:
    parts = [
        f"rent {create}" if create else "",
        limit,
        f"drain {len(drain)} not needed" if drain else "",
        f"drain {len(aged)} that are old" if aged else "",
        f"end {len(overdue)} overdue" if overdue else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{seen}; {said or 'nothing to do'}."
