"""Rents pods and gives them back: looks, has the policy decide, and does what it says, one controller at a time.

Nothing is remembered but in Postgres, and everything that matters is there before RunPod is asked for anything, so
`tick` may be called by whoever, whenever, and may be killed anywhere. What cannot be read changes nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from quire.burst.fleet import UNLISTED_SECONDS, Fleet, reconcile
from quire.burst.model import Decision, Observation, Pod, Work
from quire.burst.policy import PolicySettings, PolicyState, decide
from quire.burst.runpod_pods import ListedPod, Offer, PodSpec, RunpodPods
from quire.database import burst, workers
from quire.database.engine import transaction
from quire.database.exclusive import exclusively
from quire.errors import QuireError, RunpodKeyRejected, RunpodNoCapacity, RunpodRefused, RunpodUncertain
from quire.settings import Settings

logger = logging.getLogger(__name__)

# Any constant will do, as long as nothing else uses it.
_ADVISORY_LOCK: Final = 0x51756976

# Whether a worker was ever heard of is looked up as far back as workers are kept.
_EVER_SECONDS: Final = 7 * 86_400.0
_KEPT_SECONDS: Final = 30 * 86_400.0
# From the request to end a pod until it is gone, and paid for no more.
_END_SECONDS: Final = 60.0
# As far as numbers like 0.1 can be added up.
_CENTS: Final = 1e-9


@dataclass(slots=True)
class Report:
    """What a tick saw and did. Pods are named; `dry`: nothing was done, this is what would have been.

    Attributes:
        observation: what was seen; None where too much of it could not be read, and nothing was done.
        reason: why, in one sentence with the numbers it rests on.
        trouble: what went wrong; the next tick tries again.
    """

    observation: Observation | None = None
    decision: Decision = field(default_factory=Decision)
    created: list[str] = field(default_factory=list)
    drained: list[str] = field(default_factory=list)
    terminated: list[str] = field(default_factory=list)
    reason: str = ""
    trouble: list[str] = field(default_factory=list)
    dry: bool = False


class PodBurst:
    """The controller where `QUIRE_BURST=pods`. One that does not `rent` needs to know nothing of what pods are made of.

    Raises:
        SettingsError: a variable is missing.
    """

    def __init__(
        self,
        settings: Settings,
        database: Engine,
        client: RunpodPods,
        *,
        observe: Callable[[Session], Work] | None = None,
        rents: bool = True,
    ) -> None:
        self._settings, self._database, self._client = settings, database, client
        self._policy = PolicySettings.from_settings(settings)
        self._spec = PodSpec.from_settings(settings) if rents else None
        self._observe = observe or self._observe_work

    def tick(self, now: float, *, dry: bool = False) -> Report:
        """Look, decide, act. `now` is seconds since the epoch. `dry`: look and decide only.

        One tick runs at a time; another one returns at once.

        Raises:
            DatabaseUnreachable: nothing was changed since; the next tick makes up for it.
        """
        if dry:
            return self._look(now, Report(dry=True), fence=None)
        with exclusively(self._database, _ADVISORY_LOCK) as is_alone:
            if not is_alone:
                return Report(reason="Another controller is at work.")
            with transaction(self._database) as session:
                fence = burst.begin(session)
                burst.drop_gone(session, before=now - _KEPT_SECONDS)
            return self._look(now, Report(), fence)

    def _look(self, now: float, report: Report, fence: int | None) -> Report:
        """Observe and decide, and act where there is a `fence`."""
        try:
            listed = self._client.list_pods()
        except QuireError as error:
            self._note(report, error)
            report.reason = "It cannot be seen which pods there are: nothing is changed."
            logger.warning("pods: %s", report.reason)
            return report
        work, offer = self._work(report), self._offer(report)
        with transaction(self._database) as session:
            fleet = reconcile(
                session,
                listed,
                workers.seen_since(session, _EVER_SECONDS),
                now,
                created_at=self._client.created_at,
                drain_seconds=self._drain_seconds,
                unknown_price=self._settings.runpod_pod_max_price,
            )
            session.flush()
            state = burst.state(session)
            spent = burst.spent_today(session, now)
            remembered, stopped = PolicyState.from_json(state.policy), state.stopped
            if fence is None:
                session.rollback()
        price = None if offer is None else offer.price_per_hour
        pods = tuple(_ending(pod) if pod.id in remembered.ending else pod for pod in fleet.pods)
        report.observation = observation = Observation(now, work, pods, spent, price)
        # Asking for what was never made is no failed boot.
        booting = tuple(name for name in remembered.booting if name not in fleet.never_there)
        decision, remembered = decide(observation, replace(remembered, booting=booting), self._policy)
        decision = self._limit(decision, observation, stopped)
        # Nor is ending one that boots.
        booting = tuple(name for name in remembered.booting if name not in decision.terminate)
        remembered = replace(remembered, booting=booting, ending=tuple(sorted(decision.terminate)))
        report.decision, report.reason = decision, decision.reason
        _log(observation, decision, report, fence)
        if fence is not None:
            with transaction(self._database) as session:
                is_ours = burst.remember(session, fence, remembered, now=now, decision=decision.reason)
            if is_ours:
                self._act(now, decision, fleet, offer, fence, report)
        return report

    def _limit(self, decision: Decision, observation: Observation, stopped: bool) -> Decision:
        """What the policy decided, unless an operator or the day's money says otherwise."""
        if observation.pods and self._is_day_over(observation):
            everything = tuple(pod.id for pod in observation.pods)
            reason = f"{decision.reason} The day's {observation.spent_today:.2f} USD are spent: every pod is ended."
            return replace(decision, create=0, drain=(), terminate=everything, reason=reason)
        if too_many := self._too_many(decision, observation):
            reason = f"{decision.reason} There is more than there may be: {len(too_many)} are ended."
            decision = replace(decision, create=0, terminate=decision.terminate + too_many, reason=reason)
        if stopped:
            # One that boots has nothing to lose.
            booting = tuple(pod.id for pod in observation.pods if pod.phase == "booting")
            ready = tuple(pod.id for pod in observation.pods if pod.phase == "ready")
            terminate = tuple(dict.fromkeys(decision.terminate + booting))
            reason = f"{decision.reason} Renting was stopped by hand: what is there is drained."
            return Decision(0, ready, terminate, reason)
        create = decision.create
        while create and self._is_day_over(observation, more=create):
            create -= 1
        return replace(decision, create=create)

    def _is_day_over(self, observation: Observation, more: int = 0) -> bool:
        """Whether the day's money is spent, with what the pods cost until the next look has ended them.

        `more` pods must not be ended as soon as they are rented: there has to be twice as much for them.
        """
        rate = sum(pod.price_per_hour for pod in observation.pods) + more * (observation.price_per_hour or 0.0)
        seconds = 2 * self._settings.quire_burst_tick_seconds + _END_SECONDS
        ending = rate * seconds / 3600 * (2 if more else 1)
        return observation.spent_today + ending >= self._settings.quire_burst_max_per_day

    def _too_many(self, decision: Decision, observation: Observation) -> tuple[str, ...]:
        """Pods over the limits, which the policy would not have rented: strays, or dearer than they were said to be.

        Those that boot go first, then the youngest.
        """
        there = [pod for pod in observation.pods if pod.id not in decision.terminate]
        ended = [pod.id for pod in there if pod.price_per_hour > self._settings.runpod_pod_max_price]
        left = [pod for pod in there if pod.id not in ended]
        left.sort(key=lambda pod: (pod.phase == "booting", pod.created_at))
        while len(left) > self._settings.quire_burst_max_pods or not self._is_affordable(left):
            ended.append(left.pop().id)
        return tuple(ended)

    def _is_affordable(self, pods: list[Pod]) -> bool:
        return sum(pod.price_per_hour for pod in pods) <= self._settings.quire_burst_max_per_hour + _CENTS

    # --- What is seen -------------------------------------------------------------------------------------------------

    def _observe_work(self, session: Session) -> Work:
        settings = self._settings
        return burst.observe_work(
            session, ocr_queue=settings.ocr_queue, expected_page_seconds=settings.quire_burst_page_seconds
        )

    def _work(self, report: Report) -> Work | None:
        try:
            with transaction(self._database) as session:
                work = self._observe(session)
                if report.dry:
                    session.rollback()
            return work
        except (QuireError, SQLAlchemyError) as error:
            # Not the text of the error: it may have the statement's values.
            report.trouble.append(f"What waits could not be read ({type(error).__name__}).")
            logger.warning("pods: %s", report.trouble[-1])
            return None

    def _offer(self, report: Report) -> Offer | None:
        if self._spec is None:
            return None
        try:
            return self._client.offer(self._spec)
        except QuireError as error:
            self._note(report, error)
            return None

    @property
    def _drain_seconds(self) -> float:
        """After so long a worker that was asked to drain has had the time to end a ticket, and to say so."""
        return self._settings.quire_ticket_seconds + self._settings.quire_drain_seconds + burst.HEARD_SECONDS

    # --- What is done -------------------------------------------------------------------------------------------------

    def _act(
        self, now: float, decision: Decision, fleet: Fleet, offer: Offer | None, fence: int, report: Report
    ) -> None:
        """Pods end first: what they cost is what others may cost. None is rented while ending one is in trouble."""
        self._terminate(decision.terminate, fleet, report)
        for pod_id in fleet.needless:
            self._end(pod_id, pod_id, report)
        self._drain(decision.drain, fleet, report)
        if offer is None:
            return
        for _ in range(decision.create):
            if not self._create(now, offer, fence, report):
                break

    def _terminate(self, names: Iterable[str], fleet: Fleet, report: Report) -> None:
        for name in names:
            # Without an id it may not be there at all; it is listed, or not, by the next tick.
            if (pod_id := fleet.ids.get(name)) is not None and self._end(pod_id, name, report):
                report.terminated.append(name)

    def _end(self, pod_id: str, name: str, report: Report) -> bool:
        """Ask RunPod to end a pod. It is gone when it is no longer listed; until then every tick asks again."""
        try:
            self._client.terminate(pod_id)
        except QuireError as error:
            self._note(report, error)
            return False
        logger.info("pods: %s was told to end", name)
        return True

    def _drain(self, names: Iterable[str], fleet: Fleet, report: Report) -> None:
        ids = {fleet.ids[name]: name for name in names if name in fleet.ids}
        if not ids:
            return
        with transaction(self._database) as session:
            asked = workers.ask_to_drain(session, list(ids))
        report.drained += [name for pod_id, name in ids.items() if pod_id in asked]
        logger.info("pods: asked to drain: %s", ", ".join(report.drained))

    def _create(self, now: float, offer: Offer, fence: int, report: Report) -> bool:
        """Rent a pod; False if no other should be rented now."""
        name = self._client.new_name(now)
        with transaction(self._database) as session:
            if not burst.intend(session, fence, name, offer.price_per_hour, now):
                return False
        assert self._spec is not None
        ends_at = now + self._settings.quire_burst_lifetime_seconds + 2 * self._settings.quire_burst_boot_seconds
        try:
            pod = self._client.create(name, self._spec, offer, ends_at=ends_at)
        except RunpodUncertain as error:
            logger.warning("pods: %s %s counts as a pod for %.0f s at least.", error.message, name, UNLISTED_SECONDS)
            report.trouble.append(error.message)
            self._look_for(name, report)
            return False
        except QuireError as error:
            # It was not made.
            with transaction(self._database) as session:
                burst.forget(session, name)
            self._note(report, error)
            return False
        with transaction(self._database) as session:
            burst.note_made(session, name, pod.id, pod.price_per_hour)
        logger.info("pods: rented %s (%s, %s, %.3f USD an hour)", name, pod.id, offer.gpu_type, pod.price_per_hour)
        report.created.append(name)
        if pod.price_per_hour <= offer.price_per_hour:
            return True
        # What the others may cost is to be looked at again.
        logger.warning("pods: %s costs more than was offered", name)
        if self._costs_too_much(pod, offer, report):
            with transaction(self._database) as session:
                burst.close(session, fence, until=now + self._policy.breaker_seconds)
            self._end(pod.id, name, report)
        return False

    def _costs_too_much(self, pod: ListedPod, offer: Offer, report: Report) -> bool:
        """Whether one that was just rented costs more than one may, or more than those there are leave for it."""
        assert report.observation is not None
        others = sum(each.price_per_hour for each in report.observation.pods)
        others += (len(report.created) - 1) * offer.price_per_hour
        settings = self._settings
        is_too_dear = pod.price_per_hour > settings.runpod_pod_max_price
        return is_too_dear or others + pod.price_per_hour > settings.quire_burst_max_per_hour + _CENTS

    def _look_for(self, name: str, report: Report) -> None:
        """Whether a pod was made although the answer was lost; where it is not listed yet, a later tick finds it."""
        try:
            found = next((pod for pod in self._client.list_pods() if pod.name == name and pod.id), None)
        except QuireError as error:
            self._note(report, error)
            return
        if found is not None:
            with transaction(self._database) as session:
                burst.note_made(session, name, found.id, found.price_per_hour)
            report.created.append(name)

    def _note(self, report: Report, error: QuireError) -> None:
        level = logging.ERROR if isinstance(error, RunpodKeyRejected | RunpodRefused) else logging.WARNING
        if isinstance(error, RunpodNoCapacity):
            level = logging.INFO
        logger.log(level, "pods: %s", error.message)
        report.trouble.append(error.message)


def _ending(pod: Pod) -> Pod:
    """A pod that was told to end: nobody counts on it, and it is told again."""
    return replace(pod, phase="draining", busy=False, idle_since=None)


def _log(observation: Observation, decision: Decision, report: Report, fence: int | None) -> None:
    """The decision with what it rests on, as JSON."""
    inputs = {
        "now": observation.now,
        "work": None if observation.work is None else asdict(observation.work),
        "pods": [_shown(pod, observation.now) for pod in observation.pods],
        "spent_today": round(observation.spent_today, 4),
        "price_per_hour": observation.price_per_hour,
    }
    line = {"decision": asdict(decision), "inputs": inputs, "trouble": report.trouble, "fence": fence}
    logger.info("pods: decided %s", json.dumps(line))


def _shown(pod: Pod, now: float) -> dict[str, object]:
    idle = None if pod.idle_since is None else round(now - pod.idle_since)
    age = round(now - pod.created_at)
    return {
        "name": pod.name,
        "phase": pod.phase,
        "age_seconds": age,
        "busy": pod.busy,
        "idle_seconds": idle,
        "price_per_hour": pod.price_per_hour,
    }
