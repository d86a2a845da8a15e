"""The simulation of pods: nothing is lost or read twice in it, money is counted, and it compares what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.burst.__main__ import dominating, main, scalers, simulate
from benchmarks.burst.scalers import Fixed, Keda, Quire
from benchmarks.burst.traces import TRACES, Arrival, read_trace
from benchmarks.burst.world import Outcome, Place, World
from quire.burst.model import Decision, Observation, Pod, Work
from quire.burst.policy import PolicySettings

CALM = Place(boot_failures=0.0, kills_per_hour=0.0)
ROUGH = Place(boot_failures=0.3, kills_per_hour=2.0)
LIMITS = PolicySettings()


def test_ten_pages_at_one_a_second_wait_one_to_ten_seconds():
    outcome = World([Arrival(0.0, 10)], CALM, 1).run(Fixed(0))
    assert outcome.waits == [float(second) for second in range(1, 11)]
    assert (outcome.usd, outcome.pods, outcome.unread) == (0.0, 0, 0)


def test_a_pod_is_paid_for_from_the_request_to_its_end():
    world = World([Arrival(0.0, 1)], CALM, 1)
    outcome = world.run(Fixed(1))
    assert outcome.usd == pytest.approx(world.now * CALM.price_per_hour / 3600.0)
    assert outcome.left == 1


@pytest.mark.parametrize("name", TRACES)
def test_every_page_is_read_once_though_pods_fail_and_are_killed(name: str):
    trace = TRACES[name](7)
    outcome = World(trace, ROUGH, 7).run(Quire())
    assert len(outcome.waits) == sum(arrival.pages for arrival in trace)
    assert (outcome.unread, outcome.left) == (0, 0)
    assert min(outcome.waits) >= 0
    assert outcome.most_pods <= LIMITS.most_pods
    assert outcome.most_per_hour <= LIMITS.most_per_hour


def test_a_days_money_is_not_passed_and_the_rest_is_read_by_local_workers():
    settings = PolicySettings(most_per_day=0.05)
    trace = [Arrival(0.0, 20_000)]
    outcome = World(trace, CALM, 1).run(Quire(settings))
    # What a pod costs while it is drained and ended.
    assert 0 < outcome.usd <= 0.05 + 4 * CALM.price_per_hour * 60 / 3600
    assert len(outcome.waits) == 20_000


def test_the_same_seed_gives_the_same_day():
    def run(seed: int) -> Outcome:
        return World(TRACES["flash crowd"](seed), ROUGH, seed).run(Quire())

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_book_comes_sooner_with_pods_and_they_are_all_given_back():
    trace = TRACES["book"](1)
    alone, with_pods = World(trace, CALM, 1).run(Fixed(0)), World(trace, CALM, 1).run(Quire())
    assert sorted(with_pods.waits)[len(with_pods.waits) // 2] < sorted(alone.waits)[len(alone.waits) // 2] / 4
    assert with_pods.left == 0


def test_keda_counts_what_waits_and_goes_down_to_what_was_wanted_within_its_window():
    keda = Keda(100, 4)

    def look(now: float, waiting: int, *pods: Pod) -> Decision:
        return keda.decide(Observation(now, Work(waiting, 48, 0, 0.1, 1.0), pods, 0.0, 0.5))

    assert look(0.0, 250).create == 3
    # Not looked at again within 30 s.
    assert look(15.0, 250).create == 0
    pods = [Pod(f"pod-{n}", f"pod-{n}", "ready", float(n), 0.5, True) for n in range(3)]
    assert look(30.0, 90, *pods) == Decision()
    assert look(299.0, 90, *pods).drain == ()
    assert look(330.0, 90, *pods).drain == ("pod-2", "pod-1")
    drained = replace(pods[1], phase="draining", busy=False)
    assert look(340.0, 90, pods[0], drained).terminate == ("pod-1",)
    assert look(400.0, 0, pods[0]).drain == ()
    assert look(631.0, 0, pods[0]).drain == ("pod-0",)


def test_nothing_is_better_than_the_defaults_in_money_and_in_waiting():
    rows = {label: simulate(TRACES["book"], make, Place(), range(2), 0.01) for label, make in scalers().items()}
    assert dominating(rows) == []
    # And one that is would be named.
    assert dominating({**rows, "Quire": rows["always 4"]}) == []
    assert "KEDA, 100 pages" in dominating({**rows, "Quire": rows["always 1"]})


def test_ones_own_arrivals_are_read_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "mine.csv"
    path.write_text("seconds,pages\n30,4\n0,2\n", encoding="utf-8")
    assert read_trace(path) == [Arrival(0.0, 2), Arrival(30.0, 4)]
    assert main(["--trace", str(path), "--seeds", "1", "--output", str(tmp_path / "burst.json")]) == 0
    assert "mine.csv" in capsys.readouterr().out
    assert (tmp_path / "burst.svg").read_text(encoding="utf-8").startswith("<svg")
    path.write_text("when,what\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="seconds,pages"):
        read_trace(path)
