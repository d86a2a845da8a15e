"""A thousand minutes with a RunPod that fails in every way: no pod stays, no limit is broken, every page is read."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from pydantic import SecretStr

from quire.burst.runpod_pods import RunpodPods
from tests.burst.fake_runpod import KEY, FakeRunpod, Fault, any_of
from tests.burst.pods_bench import Killed, PodsBench, opened_bench

MINUTES, STEP = 1000, 2
LAST_DOCUMENT = 750
FAULTS: tuple[Fault, ...] = (
    "500",
    "500 done",
    "502 done",
    "429",
    "lost",
    "lost done",
    "error",
    "error done",
    "capacity",
    "text",
)
MAX_PER_HOUR, MAX_PER_DAY, MAX_PODS = 1.25, 3.0, 4


class MortalClient(RunpodPods):
    """A client whose process is killed now and then, before or after it has asked for something."""

    def __init__(self, url: str, chance: random.Random) -> None:
        super().__init__(url, SecretStr(KEY), "main", pause=lambda _: None)
        self.chance = chance

    def _post(self, *arguments: Any, **named: Any) -> Any:
        if self.chance.random() < 0.01:
            raise Killed
        answer = super()._post(*arguments, **named)
        if self.chance.random() < 0.01:
            raise Killed
        return answer


@pytest.mark.parametrize("seed", range(1))
def test_whatever_fails_no_pod_is_left_no_limit_is_broken_and_every_page_is_done(emptied_database, seed):
    chance = random.Random(seed)
    # 16:00 UTC: the day ends in between.
    runpod = FakeRunpod(now=1_800_028_800.0, prices={"GPU-A": 0.4, "GPU-B": 0.55}, lag=20.0)
    runpod.boot = lambda: None if chance.random() < 0.15 else chance.uniform(30, 240)
    runpod.fault = any_of(chance, 0.15, *FAULTS)
    limits = {
        "quire_burst_max_per_hour": MAX_PER_HOUR,
        "quire_burst_max_per_day": MAX_PER_DAY,
        "quire_burst_max_pods": MAX_PODS,
    }
    with opened_bench(emptied_database, runpod, **limits) as bench, MortalClient(runpod.url, chance) as client:
        bench.pages_a_look *= STEP
        controllers = [bench.another(client), bench.another(client)]
        for minute in range(0, MINUTES, STEP):
            if minute < LAST_DOCUMENT and chance.random() < 0.03 * STEP:
                bench.submit(chance.choice((1, 20, 120, 400)))
            if minute % 96 == 6:
                runpod.prices["GPU-A"] = chance.choice((0.4, 0.45, None))
            with suppress(Killed):
                chance.choice(controllers).tick(runpod.now)
            if runpod.pods and chance.random() < 0.02:
                runpod.kill(chance.choice(sorted(runpod.pods)))
            _require_limits(bench)
            bench.pass_time(60 * STEP)
            bench.work()
        assert bench.pages_left() == 0
        assert runpod.pods == {}
        assert bench.rows() == []
        assert sum(runpod.bill.values()) > 0.5, "pods were rented"


def _require_limits(bench: PodsBench) -> None:
    runpod = bench.runpod
    assert runpod.rate <= MAX_PER_HOUR + 1e-9
    assert len(runpod.pods) <= MAX_PODS
    assert runpod.bill[runpod.day] <= MAX_PER_DAY
    # What is written down is never less than what is to be paid, but for pods that are not listed yet.
    assert bench.spent_today() >= runpod.bill[runpod.day] - 0.05
