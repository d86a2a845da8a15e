"""The burst policy: what it may never do, whatever it is shown, and what it does about plain situations."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from quire.burst.model import Decision, Observation, Pod, PodPhase, Work
from quire.burst.policy import PolicySettings, PolicyState, decide, wanted_pods

SETTINGS = PolicySettings(target_seconds=300, oldest_seconds=300, polls=2)
NOTHING = Work(0, 0, 0, 0.1, 0)
BOOK = Work(30_000, 0, 60, 0.1, 0)
TICK = 15.0


def pod(
    name: str = "a", phase: PodPhase = "ready", *, busy: bool = False, created_at: float = 0.0, price: float = 0.5
) -> Pod:
    return Pod(name, name, phase, created_at, price, busy, None if busy or phase == "booting" else created_at)


def seen(
    work: Work | None, *pods: Pod, now: float = 1000.0, spent: float = 0.0, price: float | None = 0.5
) -> Observation:
    return Observation(now, work, pods, spent, price)


def after_looks(observation: Observation, looks: int = 2) -> Decision:
    state = PolicyState()
    for number in range(looks):
        decision, state = decide(replace(observation, now=observation.now + number * TICK), state, SETTINGS)
    return decision


works = st.builds(
    Work,
    waiting_pages=st.integers(0, 100_000),
    leased_pages=st.integers(0, 1000),
    oldest_seconds=st.floats(0, 10_000),
    page_seconds=st.floats(0.001, 10),
    local_pages_per_second=st.floats(0, 50),
)
a_pod = st.builds(
    Pod,
    id=st.uuids().map(str),
    name=st.just("quire"),
    phase=st.sampled_from(["booting", "ready", "draining"]),
    created_at=st.floats(0, 100_000),
    price_per_hour=st.floats(0.1, 3),
    busy=st.booleans(),
    idle_since=st.none() | st.floats(0, 100_000),
)
observations = st.builds(
    Observation,
    now=st.floats(100_000, 200_000),
    work=st.none() | works,
    pods=st.lists(a_pod, max_size=8, unique_by=lambda each: each.id).map(tuple),
    spent_today=st.floats(0, 40),
    price_per_hour=st.none() | st.floats(0.1, 3),
)
states = st.builds(
    PolicyState,
    asked=st.integers(0, 5),
    spare_since=st.none() | st.floats(0, 200_000),
    failed_boots=st.integers(0, 6),
    closed_until=st.floats(0, 300_000),
)


@settings(max_examples=500)
@given(observations, states)
def test_no_limit_is_passed_whatever_is_seen(observation: Observation, state: PolicyState):
    decision, _ = decide(observation, state, SETTINGS)
    if decision.create:
        price = observation.price_per_hour
        assert price is not None
        assert len(observation.pods) + decision.create <= SETTINGS.most_pods
        hourly = sum(each.price_per_hour for each in observation.pods) + decision.create * price
        assert hourly <= SETTINGS.most_per_hour + 1e-6
        assert observation.spent_today < SETTINGS.most_per_day
        assert observation.now >= state.closed_until
        assert observation.work is not None


@settings(max_examples=500)
@given(observations, states)
def test_what_is_ended_has_had_its_time_or_does_nothing(observation: Observation, state: PolicyState):
    decision, _ = decide(observation, state, SETTINGS)
    by_id = {each.id: each for each in observation.pods}
    for name in decision.terminate:
        ended = by_id[name]
        age = observation.now - ended.created_at
        if ended.phase == "booting":
            assert age >= SETTINGS.boot_seconds
        else:
            is_drained = ended.phase == "draining" and not ended.busy
            assert is_drained or age >= SETTINGS.lifetime_seconds + SETTINGS.boot_seconds
    assert not set(decision.drain) & set(decision.terminate)
    assert {by_id[name].phase for name in decision.drain} <= {"ready"}
    assert len(set(decision.drain)) == len(decision.drain)


@given(observations, states)
def test_what_cannot_be_read_changes_nothing(observation: Observation, state: PolicyState):
    unreadable = replace(observation, work=None)
    decision, after = decide(unreadable, state, SETTINGS)
    assert (decision.create, decision.drain) == (0, ())
    assert (after.asked, after.spare_since) == (state.asked, state.spare_since)


@given(observations, states)
def test_a_state_survives_being_stored(observation: Observation, state: PolicyState):
    _, after = decide(observation, state, SETTINGS)
    assert PolicyState.from_json(json.loads(json.dumps(after.to_json()))) == after


@given(observations, states)
def test_the_same_look_decides_the_same(observation: Observation, state: PolicyState):
    assert decide(observation, state, SETTINGS) == decide(observation, state, SETTINGS)


def test_a_book_is_worth_pods_when_two_looks_agree():
    assert after_looks(seen(BOOK), 1).create == 0
    assert after_looks(seen(BOOK), 2).create == SETTINGS.most_pods


def test_pods_that_boot_count_as_there():
    pods = [pod(name, "booting", created_at=990) for name in "abcd"]
    assert after_looks(seen(BOOK, *pods)).create == 0


def test_what_local_workers_get_done_before_a_pod_could_is_left_to_them():
    soon = Work(100, 4, 20, 0.1, local_pages_per_second=1.0)
    assert after_looks(seen(soon)).create == 0
    assert after_looks(seen(replace(soon, local_pages_per_second=0.1))).create == 1


def test_one_page_that_has_waited_long_is_worth_a_pod():
    late = Work(1, 0, SETTINGS.oldest_seconds, 0.1, local_pages_per_second=1.0)
    assert after_looks(seen(late)).create == 1


def test_a_trickle_that_local_workers_handle_keeps_no_pod():
    trickle = Work(10, 4, 5, 0.1, local_pages_per_second=2.0)
    assert wanted_pods(trickle, 1, SETTINGS) == 0
    looks = 1 + int(SETTINGS.idle_seconds / TICK)
    assert after_looks(seen(trickle, pod("a", busy=True)), looks).drain == ("a",)


def test_all_idle_pods_go_when_nothing_is_left_and_not_before_their_time():
    pods = [pod("a"), pod("b", created_at=10)]
    looks = 1 + int(SETTINGS.idle_seconds / TICK)
    assert after_looks(seen(NOTHING, *pods), looks - 1).drain == ()
    assert set(after_looks(seen(NOTHING, *pods), looks).drain) == {"a", "b"}


def test_a_pod_is_ended_when_it_is_drained_and_idle():
    assert after_looks(seen(NOTHING, pod("a", "draining")), 1).terminate == ("a",)
    assert after_looks(seen(NOTHING, pod("a", "draining", busy=True)), 1).terminate == ()


def test_constant_work_neither_rents_nor_drains():
    constant = Work(2500, 16, 60, 0.1, 0)
    assert wanted_pods(constant, 1, SETTINGS) == 1
    state, at_work = PolicyState(), pod("a", busy=True)
    for look in range(100):
        decision, state = decide(seen(constant, at_work, now=1000 + look * TICK), state, SETTINGS)
        assert (decision.create, decision.drain, decision.terminate) == (0, (), ())


def test_pods_that_do_not_boot_close_the_door_and_one_is_tried_after_it():
    state, now, rented = PolicyState(), 0.0, 0
    booting: list[Pod] = []
    for _ in range(200):
        decision, state = decide(seen(BOOK, *booting, now=now), state, SETTINGS)
        booting = [each for each in booting if each.id not in decision.terminate]
        booting += [pod(f"{now}-{n}", "booting", created_at=now) for n in range(decision.create)]
        rented += decision.create
        now += TICK
        if state.closed_until:
            break
    assert rented == SETTINGS.most_pods
    assert state.failed_boots == SETTINGS.most_pods
    before = rented
    while now < state.closed_until + 2 * TICK:
        decision, state = decide(seen(BOOK, *booting, now=now), state, SETTINGS)
        booting += [pod(f"{now}-{n}", "booting", created_at=now) for n in range(decision.create)]
        rented += decision.create
        now += TICK
    assert rented == before + 1
    (tried,) = booting
    ready = replace(tried, phase="ready")
    decision, state = decide(seen(BOOK, ready, now=now), state, SETTINGS)
    assert state.failed_boots == 0
    assert decision.create == SETTINGS.most_pods - 1


def test_a_pod_that_is_slow_to_go_is_counted_once():
    state, late = PolicyState(booting=("a",)), pod("a", "booting")
    for look in range(5):
        decision, state = decide(seen(BOOK, late, now=SETTINGS.boot_seconds + look * TICK), state, SETTINGS)
        assert decision.terminate == ("a",)
    assert state.failed_boots == 1


def test_an_old_pod_is_drained_and_replaced():
    old = pod("a", busy=True)
    now = SETTINGS.lifetime_seconds + 1
    decision, _ = decide(seen(BOOK, old, now=now), PolicyState(asked=1), SETTINGS)
    assert decision.drain == ("a",)
    assert decision.create > 0


def test_when_the_days_money_is_spent_pods_are_drained_and_none_rented():
    decision = after_looks(seen(BOOK, pod("a", busy=True), spent=SETTINGS.most_per_day))
    assert (decision.create, decision.drain) == (0, ("a",))


def test_the_reason_says_what_it_rests_on():
    reason = after_looks(seen(BOOK), 2).reason
    assert "30,000 pages wait" in reason
    assert "rent 4" in reason
    assert "limited by most pods" in reason
