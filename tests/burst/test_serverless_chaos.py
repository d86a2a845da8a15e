"""A controller and an endpoint that fail in every way there is, on a clock of their own: nothing is lost or doubled."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from quire.burst.runpod_endpoint import RunpodEndpoint
from quire.burst.serverless import ServerlessBurst
from quire.deletion import delete_document
from tests.burst.fake_endpoint import KEY, Fate, Fault, Job
from tests.burst.serverless_bench import ServerlessBench, opened_bench

TICK_SECONDS = 15
TICKS = 120
FAULTS: tuple[Fault, ...] = ("500", "503", "429", "502 done", "lost", "lost done")
FATES: tuple[Fate, ...] = (
    "dies_first",
    "dies_last",
    "times_out",
    "forgotten_first",
    "forgotten_last",
    "no_output",
)


class Killed(BaseException):
    """The controller's process ends here."""


class MortalClient(RunpodEndpoint):
    """A client whose process is killed now and then, before or after it has asked for something."""

    def __init__(self, url: str, chance: random.Random) -> None:
        super().__init__(url, SecretStr(KEY), pause=lambda _: None)
        self.chance = chance
        self.mortality = 0.02

    def _ask(self, *arguments: Any, **named: Any) -> httpx.Response | None:
        if self.chance.random() < self.mortality:
            raise Killed
        answer = super()._ask(*arguments, **named)
        if self.chance.random() < self.mortality:
            raise Killed
        return answer


class Chaos:
    """Turns of controller, endpoint, local workers and users, in the order that a seed says."""

    def __init__(self, bench: ServerlessBench, seed: int) -> None:
        self.bench = bench
        self.chance = random.Random(seed)
        self.client = MortalClient(bench.endpoint.url, self.chance)
        self.burst = ServerlessBurst(
            bench.settings, bench.database, self.client, store=bench.store, observe=bench.observe
        )
        self.at_work: list[Job] = []
        self.documents = [self.submit() for _ in range(6)]
        self.gone = self.chance.choice(self.documents)
        bench.endpoint.fault = lambda _: self.chance.choice(FAULTS) if self.chance.random() < 0.15 else None

    def submit(self) -> Any:
        pages = self.chance.choice((1, 3, 8, 25, 60))
        if self.chance.random() < 0.5:
            return self.bench.opened(pages)
        return self.bench.submit(pages, waits=self.chance.random() < 0.5)

    def turn(self, number: int) -> None:
        with suppress(Killed):
            self.burst.tick(self.bench.endpoint.now)
        self.endpoint_turn()
        if number == 6:
            self.end_one()
        if self.chance.random() < 0.05:
            self.bench.work_here()
        self.bench.pass_time(TICK_SECONDS)

    def endpoint_turn(self) -> None:
        """Begin some jobs, and let some of those that were begun end, well or not."""
        while self.chance.random() < 0.7 and (job := self.bench.endpoint.begin()) is not None:
            self.at_work.append(job)
        for job in list(self.at_work):
            if self.chance.random() < 0.6:
                self.at_work.remove(job)
                fate: Fate = "runs" if self.chance.random() < 0.7 else self.chance.choice(FATES)
                self.bench.endpoint.finish(job, fate)

    def end_one(self) -> None:
        if self.chance.random() < 0.5:
            self.bench.cancel(self.gone)
        else:
            delete_document(self.bench.settings, self.bench.store, self.gone, self.bench.database)
        self.documents.remove(self.gone)

    def is_over(self) -> bool:
        open_rows = self.bench.rows("sending", "unknown", "queued", "running")
        return not open_rows and all(self.bench.document(each).status == "completed" for each in self.documents)


@pytest.mark.parametrize("mode", ["tickets", "ranges"])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_fails_every_page_is_done_once_and_no_job_is_left(
    emptied_database: Engine, tmp_path: Path, mode: str, seed: int
):
    settings = {"quire_burst_remote_database": mode == "tickets", "quire_page_attempts": 40}
    with opened_bench(emptied_database, tmp_path, **settings) as bench:
        chaos = Chaos(bench, seed)
        turns = 0
        while turns <= 6 or not chaos.is_over():
            chaos.turn(turns)
            turns += 1
            assert turns < TICKS, [bench.document(each).status for each in chaos.documents]
        for document in chaos.documents:
            bench.require_read(document)
        rows = bench.rows()
        known = {row.remote_id for row in rows}
        assert not [job for job in bench.endpoint.open_jobs if job.id in known], "a job is left"
        # Each row is one job at most, also where an answer was lost or the controller killed.
        assert bench.endpoint._made <= len(rows)
        assert bench.endpoint.seconds_billed <= bench.settings.quire_burst_job_seconds * len(rows)
        bench.pass_time(bench.settings.quire_burst_job_seconds + bench.settings.quire_burst_queue_seconds)
        assert not bench.endpoint.open_jobs
        chaos.client.close()
