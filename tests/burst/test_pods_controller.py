"""The controller of pods: what it does when one thing goes wrong, and what it never does."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from quire.burst.loop import end_pods, run
from quire.burst.runpod_pods import RunpodPods
from quire.database import burst, workers
from quire.database.engine import connect, transaction
from quire.errors import SettingsError
from quire.settings import Settings
from tests.burst.fake_runpod import KEY
from tests.burst.pods_bench import Killed, PodsBench, heartbeat, opened_bench, until


@pytest.fixture
def bench(emptied_database: Engine) -> Iterator[PodsBench]:
    with opened_bench(emptied_database) as opened:
        yield opened


def ticks(bench: PodsBench, count: int = 3) -> None:
    for _ in range(count):
        bench.minute()


def creates(bench: PodsBench) -> int:
    return sum(operation == "create" for operation, _ in bench.runpod.requests)


def test_pods_come_with_the_work_and_go_with_it(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    until(bench, lambda: bench.pages_left() == 0)
    until(bench, lambda: not bench.runpod.pods and not bench.rows(), 15)
    assert bench.spent_today() >= sum(bench.runpod.bill.values()) > 0


def test_a_pod_gets_its_variables_a_name_and_an_end(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    pod = next(iter(bench.runpod.pods.values()))
    assert pod.name.startswith("quire-burst-main-")
    assert pod.env["DATABASE_URL"] == "{{ RUNPOD_SECRET_database }}"
    assert pod.env["CELERY_QUEUE"] == "ocr"
    lifetime = bench.settings.quire_burst_lifetime_seconds
    assert pod.created + lifetime < (pod.ends_at or 0) < pod.created + 2 * lifetime


def test_two_controllers_at_once_are_one(bench):
    bench.submit(300)
    bench.minute()
    inside, go_on = threading.Event(), threading.Event()
    answer = bench.runpod.answer

    def slow(operation, variables):
        if operation == "create":
            inside.set()
            assert go_on.wait(10)
        return answer(operation, variables)

    bench.runpod.answer = slow
    bench.runpod.advance(60)
    first = threading.Thread(target=bench.tick)
    first.start()
    try:
        assert inside.wait(10)
        second = bench.another().tick(bench.runpod.now)
    finally:
        go_on.set()
        first.join()
    assert (second.reason, second.created) == ("Another controller is at work.", [])
    assert len(bench.runpod.pods) == len(bench.rows()) > 0


def test_a_controller_that_has_lost_its_turn_rents_nothing(bench):
    """Postgres may have let another one in: the lock is gone with the connection."""
    bench.submit(300)
    bench.minute()
    price = bench.client.offer

    def meanwhile(spec):
        with transaction(bench.database) as session:
            burst.begin(session)
        return price(spec)

    bench.client.offer = meanwhile
    ticks(bench)
    assert (bench.runpod.pods, creates(bench)) == ({}, 0)


def test_a_controller_that_loses_its_turn_rents_no_further_pod(bench):
    bench.submit(2000)
    bench.minute()
    assert bench.tick(dry=True).decision.create > 1
    create = bench.client.create

    def slow(*arguments, **named):
        with transaction(bench.database) as session:
            burst.begin(session)
        return create(*arguments, **named)

    bench.client.create = slow
    bench.tick()
    assert (len(bench.runpod.pods), len(bench.rows())) == (1, 1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_controller_that_is_killed_while_it_rents_leaves_nothing(bench, moment):
    bench.submit(300)
    bench.minute()
    create = bench.client.create

    def killed(*arguments, **named):
        if moment == "after":
            create(*arguments, **named)
        raise Killed

    bench.client.create = killed
    with pytest.raises(Killed):
        bench.tick()
    bench.client.create = create
    assert len(bench.runpod.pods) == (moment == "after")
    (row,) = bench.rows()
    assert row.pod_id is None
    bench.another().tick(bench.runpod.now)
    assert {each.name: each.pod_id for each in bench.rows()}[row.name] == ("pod1" if moment == "after" else None)
    until(bench, lambda: not bench.pages_left() and not bench.runpod.pods and not bench.rows())


def test_a_lost_answer_makes_no_second_pod(bench):
    bench.submit(100)
    bench.runpod.fault = lambda operation: "lost done" if operation == "create" else None
    ticks(bench, 2)
    assert (creates(bench), len(bench.runpod.pods), len(bench.rows())) == (1, 1, 1)
    assert [row.pod_id for row in bench.rows()] == ["pod1"]


def test_what_may_have_been_rented_counts_until_it_is_known_not_to_be(bench):
    bench.submit(100)
    bench.runpod.fault = lambda operation: "lost" if operation == "create" else None
    ticks(bench, 2)
    assert (creates(bench), len(bench.rows())) == (1, 1)
    bench.minute()
    assert creates(bench) == 1
    bench.runpod.fault = lambda _: None
    until(bench, lambda: bench.runpod.pods)
    assert creates(bench) == 2
    with transaction(bench.database) as session:
        assert burst.state(session).policy["failed_boots"] == 0


def test_pods_of_our_name_that_nobody_knows_are_ours(bench):
    bench.runpod.rent("quire-burst-main-69000000-0badcafe")
    bench.runpod.rent("quire-burst-main-by-hand")
    other = [bench.runpod.rent(name) for name in ("quire-burst-main2-6b000000-00", "somebody-elses", "quire")]
    bench.tick()
    assert len(bench.rows()) == 2
    until(bench, lambda: not bench.rows(), 20)
    assert list(bench.runpod.pods) == [pod.id for pod in other]


def test_a_second_pod_of_the_same_name_is_ended(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    first = next(iter(bench.runpod.pods.values()))
    double = bench.runpod.rent(first.name)
    bench.tick()
    assert first.id in bench.runpod.pods
    assert double.id not in bench.runpod.pods


def test_a_stopped_pod_is_ended(bench):
    bench.runpod.rent("quire-burst-main-by-hand", status="EXITED")
    bench.tick()
    assert bench.runpod.pods == {}


def test_what_waits_being_unreadable_changes_nothing(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    ticks(bench, 2)
    there = set(bench.runpod.pods)

    def unreadable(session):
        session.execute(text("SELECT * FROM there_is_no_such_table"))

    blind = bench.another(observe=unreadable)
    for _ in range(10):
        report = blind.tick(bench.runpod.now)
        assert report.observation is not None
        assert report.observation.work is None
        assert report.created + report.drained + report.terminated == []
        bench.minute(tick=False)
    assert set(bench.runpod.pods) == there


def test_pods_being_unlistable_changes_nothing(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    before = len(bench.runpod.requests)
    bench.runpod.fault = lambda operation: "text" if operation == "pods" else None
    ticks(bench, 5)
    assert {operation for operation, _ in bench.runpod.requests[before:]} == {"pods"}


def test_a_list_that_lacks_a_pod_once_rents_no_other(bench):
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    bench.minute()
    made = bench.runpod.made
    bench.runpod.lag = 1e9
    bench.tick()
    assert len(bench.rows()) == made
    bench.runpod.lag = 0
    ticks(bench, 2)
    assert bench.runpod.made == made


def test_a_pod_that_never_boots_is_ended_and_others_wait(bench):
    bench.runpod.boot = lambda: None
    bench.submit(2000)
    for _ in range(40):
        bench.minute()
    assert bench.runpod.made <= 3 * bench.settings.quire_burst_max_pods
    with transaction(bench.database) as session:
        state = burst.state(session)
    assert state.policy["failed_boots"] >= 3
    assert "did not boot" in (state.decision or "")


def test_a_pod_whose_worker_falls_silent_is_ended(bench):
    bench.submit(3000)
    until(bench, lambda: bench.held)
    pod_id = next(iter(bench.held))
    bench.mute.add(pod_id)
    until(bench, lambda: pod_id not in bench.runpod.pods, 6)


def test_workers_that_nobody_could_hear_of_are_given_time(bench):
    """After Postgres was away all of them seem to be gone."""
    bench.submit(3000)
    until(bench, lambda: bench.held)
    there = set(bench.runpod.pods)
    bench.pass_time(600)
    bench.tick()
    ticks(bench, 3)
    assert there <= set(bench.runpod.pods)


def test_a_pod_is_drained_before_it_is_ended(bench):
    bench.submit(150)
    until(bench, lambda: bench.held)
    until(bench, lambda: not bench.runpod.pods)
    with transaction(bench.database) as session:
        seen = workers.seen_since(session, 86_400)
        attempts = session.scalar(text("SELECT max(attempts) FROM pages"))
    assert [worker for worker in seen if worker.asked_to_drain and worker.is_drained] == seen != []
    assert attempts == 1


def test_the_days_money_being_spent_ends_everything(bench):
    bench.submit(20_000)
    small = bench.another()
    small._settings = bench.settings.model_copy(update={"quire_burst_max_per_day": 0.05})
    until(bench, lambda: bench.spent_today() > 0.05)
    small.tick(bench.runpod.now)
    assert bench.runpod.pods == {}


def test_no_more_is_spent_than_a_day_may_cost(emptied_database):
    with opened_bench(emptied_database, quire_burst_max_per_day=0.3) as bench:
        bench.submit(20_000)
        ticks(bench, 45)
        assert 0.2 < bench.runpod.bill[bench.runpod.day] <= 0.3
        assert bench.runpod.pods == {}


def test_a_machine_that_costs_more_than_was_offered_is_ended(bench):
    bench.submit(300)
    bench.minute()
    answer = bench.runpod.answer

    def dearer(operation, variables):
        bench.runpod.prices["GPU-A"] = 9.0 if operation == "create" else 0.4
        return answer(operation, variables)

    bench.runpod.answer = dearer
    bench.tick()
    assert creates(bench) == 1
    assert bench.runpod.pods == {}


def test_more_than_may_be_there_is_ended_the_youngest_first(bench):
    bench.submit(20_000)
    until(bench, lambda: len(bench.held) == 3)
    stray = bench.runpod.rent("quire-burst-main-by-hand", 1.0)
    there = set(bench.held)
    ticks(bench, 1)
    assert stray.id not in bench.runpod.pods
    assert set(bench.runpod.pods) == there


def test_the_next_type_is_taken_where_the_first_is_not_to_be_had(bench):
    bench.runpod.prices = {"GPU-A": None, "GPU-B": 0.5}
    bench.submit(300)
    until(bench, lambda: bench.runpod.pods)
    assert {pod.price for pod in bench.runpod.pods.values()} == {0.5}


def test_no_machine_is_no_failed_boot(bench):
    bench.runpod.fault = lambda operation: "capacity" if operation == "create" else None
    bench.submit(300)
    ticks(bench, 10)
    assert creates(bench) > 5
    assert bench.rows() == []
    with transaction(bench.database) as session:
        assert burst.state(session).policy["failed_boots"] == 0


def test_a_dry_run_does_nothing(bench):
    bench.submit(300)
    bench.minute()
    report = bench.tick(dry=True)
    assert report.decision.create > 0
    assert "rent" in report.reason
    assert (bench.runpod.pods, bench.rows(), creates(bench)) == ({}, [], 0)
    bench.minute()
    assert bench.runpod.pods


def test_what_is_stopped_by_hand_is_drained_and_nothing_rented(bench):
    bench.submit(3000)
    until(bench, lambda: bench.held)
    with transaction(bench.database) as session:
        burst.set_stopped(session, True)
    until(bench, lambda: not bench.runpod.pods, 8)
    made = bench.runpod.made
    ticks(bench, 5)
    assert bench.runpod.made == made
    with transaction(bench.database) as session:
        burst.set_stopped(session, False)
    until(bench, lambda: bench.runpod.pods, 5)


def test_ending_pods_that_boot_is_no_failed_boot(bench):
    bench.submit(20_000)
    until(bench, lambda: len(bench.runpod.pods) > 2, 5)
    with transaction(bench.database) as session:
        burst.set_stopped(session, True)
    until(bench, lambda: not bench.runpod.pods, 8)
    ticks(bench, 2)
    with transaction(bench.database) as session:
        assert burst.state(session).policy["failed_boots"] == 0
        burst.set_stopped(session, False)
    until(bench, lambda: bench.runpod.pods, 3)


def test_everything_can_be_ended_without_a_database(bench):
    for number in range(3):
        bench.runpod.rent(f"quire-burst-main-{number}")
    other = bench.runpod.rent("somebody-elses")
    left = ["500", None, "lost", None, "lost done"]
    bench.runpod.fault = lambda _: left.pop(0) if left else None
    assert end_pods(bench.client, seconds=10, pause=lambda _: None) == []
    assert list(bench.runpod.pods) == [other.id]


def test_each_decision_is_logged_with_its_inputs_and_no_secret(bench, caplog):
    caplog.set_level(logging.DEBUG)
    bench.submit(300)
    ticks(bench, 3)
    decided = [record.getMessage() for record in caplog.records if "pods: decided" in record.getMessage()]
    assert len(decided) == 3
    line = json.loads(decided[1].removeprefix("pods: decided "))
    assert line["decision"]["create"] > 0
    assert line["inputs"]["work"]["waiting_pages"] == 300
    assert KEY not in caplog.text
    assert "RUNPOD_SECRET" not in caplog.text


def test_the_loop_goes_on_after_trouble_and_ends_when_told(bench, caplog):
    settings = bench.settings.model_copy(
        update={"runpod_api_base_url": bench.runpod.url, "quire_burst_tick_seconds": 0.01}
    )
    looks: list[int] = []
    ended = threading.Event()

    def clock() -> float:
        looks.append(1)
        if len(looks) == 4:
            ended.set()
        return 1_800_000_000.0

    nowhere = connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    run(settings, nowhere, ended, clock)
    assert len(looks) == 4
    assert caplog.text.count("Nothing is changed; the next tick tries again.") == 4


def test_the_loop_says_what_is_missing(database_of_file):
    for settings in (
        Settings(),
        Settings(quire_burst="pods"),
        Settings(quire_burst="pods", runpod_api_key=KEY),
        Settings(quire_burst="serverless"),
    ):
        with pytest.raises(SettingsError):
            run(settings, database_of_file, threading.Event())


def test_no_deployment_begins_like_another():
    one, two = (RunpodPods("http://x", SecretStr(KEY), name) for name in ("a", "ab"))
    assert not two.new_name(1e9).startswith(one.prefix)
    assert one.created_at(one.new_name(1_800_000_000.5)) == 1_800_000_000
    assert one.created_at(f"{one.prefix}by-hand") is None


def test_a_pod_that_is_listed_twice_is_one(bench):
    bench.submit(3000)
    until(bench, lambda: bench.held)
    there, price = set(bench.runpod.pods), {row.price_per_hour for row in bench.rows()}
    answer = bench.runpod.answer

    def doubled(operation, variables):
        said = answer(operation, variables)
        if operation == "pods":
            said["data"]["myself"]["pods"] *= 2
        return said

    bench.runpod.answer = doubled
    bench.tick()
    assert there <= set(bench.runpod.pods)
    assert {row.price_per_hour for row in bench.rows()} == price


def test_a_list_that_lacks_ids_and_prices_changes_neither(bench):
    bench.submit(3000)
    until(bench, lambda: bench.held)
    stray = bench.runpod.rent("quire-burst-main-by-hand")
    known = {row.name: (row.pod_id, row.price_per_hour) for row in bench.rows()}
    answer = bench.runpod.answer

    def gaps(operation, variables):
        said = answer(operation, variables)
        if operation == "pods":
            listed = [each | {"costPerHr": None, "desiredStatus": None} for each in said["data"]["myself"]["pods"]]
            for each in listed:
                each["id"] = each["id"] if each["name"] == stray.name else None
            said["data"]["myself"]["pods"] = [None, *listed]
        return said

    bench.runpod.answer = gaps
    bench.tick()
    now = {row.name: (row.pod_id, row.price_per_hour) for row in bench.rows()}
    # What nobody says the price of may cost all that a pod may.
    assert now.pop(stray.name) == (stray.id, bench.settings.runpod_pod_max_price)
    assert now == known


def test_a_machine_that_turns_out_to_cost_too_much_is_ended_until_it_is_gone(bench):
    """Its answer was lost, and the first requests to end it are."""
    bench.submit(300)
    bench.minute()
    left = ["lost done"]
    bench.runpod.fault = lambda operation: (
        "error" if operation == "end" else left.pop() if operation == "create" and left else None
    )
    answer = bench.runpod.answer

    def dearer(operation, variables):
        bench.runpod.prices["GPU-A"] = 1.3 if operation == "create" else 0.4
        return answer(operation, variables)

    bench.runpod.answer = dearer
    bench.tick()
    assert len(bench.runpod.pods) == 1
    bench.minute()
    bench.runpod.fault = lambda _: None
    bench.runpod.answer = answer
    assert len(bench.tick().terminated) == 1
    assert bench.runpod.pods == {}


def test_machines_that_cost_too_much_are_no_failed_boots_and_are_not_rented_again_and_again(bench):
    bench.submit(300)
    bench.minute()
    answer = bench.runpod.answer

    def dearer(operation, variables):
        bench.runpod.prices["GPU-A"] = 9.0 if operation == "create" else 0.4
        if operation != "end":
            return answer(operation, variables)
        # It takes its time to go.
        pod = bench.runpod.pods[variables["input"]["podId"]]
        pod.ends_at = min(pod.ends_at or 0, pod.created + 90)
        return {"data": {"podTerminate": None}}

    bench.runpod.answer = dearer
    ticks(bench, 5)
    assert (creates(bench), bench.runpod.pods) == (1, {})
    with transaction(bench.database) as session:
        state = burst.state(session)
    assert state.policy["failed_boots"] == 0
    assert "cost more" in (state.decision or "")


def test_a_machine_that_costs_a_little_more_than_was_offered_is_counted_so(bench):
    bench.submit(3000)
    bench.minute()
    answer = bench.runpod.answer

    def dearer(operation, variables):
        bench.runpod.prices["GPU-A"] = 0.6 if operation == "create" else 0.4
        return answer(operation, variables)

    bench.runpod.answer = dearer
    for _ in range(4):
        bench.minute()
        assert bench.runpod.rate <= bench.settings.quire_burst_max_per_hour
    assert {row.price_per_hour for row in bench.rows()} == {0.6}
    assert len(bench.runpod.pods) == 2


def test_what_was_told_to_end_is_told_again_and_is_no_pod_to_count_on(bench):
    """More than there may be: the youngest is told to end, which RunPod forgets; then there is room again."""
    bench.submit(20_000)
    until(bench, lambda: len(bench.held) == 3)
    stray = bench.runpod.rent("quire-burst-main-by-hand", 1.0)
    bench.runpod.fault = lambda operation: "error" if operation == "end" else None
    bench.tick()
    assert stray.id in bench.runpod.pods
    for pod_id in sorted(bench.held)[:2]:
        bench.runpod.kill(pod_id)
    bench.pass_time(60)
    bench.tick()
    bench.pass_time(30)
    bench.tick()
    bench.runpod.fault = lambda _: None
    bench.tick()
    assert stray.id not in bench.runpod.pods
    with transaction(bench.database) as session:
        assert burst.state(session).policy["failed_boots"] == 0


def test_pods_whose_workers_are_heard_of_are_there_whatever_the_list_says(bench):
    bench.submit(20_000)
    until(bench, lambda: len(bench.held) == 3)
    made = bench.runpod.made
    bench.runpod.lag = 1e9
    ticks(bench, 3)
    bench.runpod.lag = 0
    ticks(bench, 1)
    assert bench.runpod.made == made


def test_the_days_money_is_not_spent_on_ending_pods(emptied_database, monkeypatch):
    """Pods that do not drain are ended while there is money left for what ending them takes."""
    with opened_bench(emptied_database, quire_burst_max_per_day=0.2, quire_burst_tick_seconds=30) as bench:
        bench.submit(20_000)
        bench.minute()
        bench.minute()
        until(bench, lambda: len(bench.held) == 3)
        answer = bench.runpod.answer

        def slow(operation, variables):
            if operation != "end":
                return answer(operation, variables)
            pod = bench.runpod.pods.get(variables["input"]["podId"])
            if pod is not None and (pod.ends_at or 1e12) > bench.runpod.now + 60:
                pod.ends_at = bench.runpod.now + 60
            return {"data": {"podTerminate": None}}

        monkeypatch.setattr(bench.runpod, "answer", slow)
        while bench.runpod.pods:
            bench.tick()
            bench.pass_time(30)
            for pod in list(bench.runpod.pods.values()):
                with transaction(bench.database) as session:
                    workers.note(session, heartbeat(pod.id, 600, busy=True))
        assert 0.15 < bench.runpod.bill[bench.runpod.day] <= 0.2


def test_nothing_is_rented_that_would_be_ended_at_once(emptied_database):
    with opened_bench(
        emptied_database, quire_burst_max_per_day=0.01, quire_burst_cold_start_seconds=5, quire_burst_idle_seconds=5
    ) as bench:
        bench.submit(20_000)
        ticks(bench, 3)
        assert creates(bench) == 0


def test_a_clock_that_was_wrong_for_a_while_leaves_no_pod_that_is_not_there(bench):
    bench.submit(20_000)
    until(bench, lambda: bench.held)
    bench.tick()
    killed = {row.name for row in bench.rows()}
    for pod_id in list(bench.runpod.pods):
        bench.runpod.kill(pod_id)
    bench.pass_time(60)
    bench.burst.tick(bench.runpod.now + 86_400)
    bench.tick()
    bench.pass_time(30)
    bench.tick()
    assert killed
    assert not killed & {row.name for row in bench.rows()}


def test_one_pod_that_cannot_be_ended_keeps_no_other(bench):
    pods = [bench.runpod.rent(f"quire-burst-main-{number}") for number in range(3)]
    answer = bench.runpod.answer

    def stubborn(operation, variables):
        if operation == "end" and variables["input"]["podId"] == pods[0].id:
            return {"errors": [{"message": "Something went wrong."}], "data": None}
        return answer(operation, variables)

    bench.runpod.answer = stubborn
    assert end_pods(bench.client, seconds=0.05, pause=lambda _: None) == [pods[0].name]
    assert list(bench.runpod.pods) == [pods[0].id]


def test_who_rents_nothing_drains_pods_without_knowing_what_they_are_made_of(bench):
    bench.submit(3000)
    until(bench, lambda: bench.held)
    bench.settings = bench.settings.model_copy(update={"runpod_pod_image": None, "quire_burst": "off"})
    bench.burst = bench.another(rents=False)
    with transaction(bench.database) as session:
        burst.set_stopped(session, True)
    until(bench, lambda: not bench.runpod.pods and not bench.rows(), 8)


def test_the_loop_outlives_an_error_that_nobody_expected(bench, caplog):
    settings = bench.settings.model_copy(
        update={"runpod_api_base_url": bench.runpod.url, "quire_burst_tick_seconds": 0.01}
    )
    ended = threading.Event()
    looks: list[int] = []

    def broken() -> float:
        looks.append(1)
        if len(looks) == 2:
            ended.set()
        return float("nan")

    run(settings, bench.database, ended, broken)
    assert len(looks) == 2
    assert "ValueError" in caplog.text
