"""`quire burst run` where `QUIRE_BURST=serverless`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from quire.burst.loop import cancel_jobs, run
from quire.database import burst
from quire.database.engine import transaction
from tests.burst.fake_endpoint import KEY
from tests.burst.serverless_bench import opened_bench


@pytest.mark.parametrize("stopped", [False, True])
def test_the_loop_sends_jobs_unless_it_is_stopped(
    emptied_database: Engine, tmp_path: Path, stopped: bool, monkeypatch: pytest.MonkeyPatch
):
    with opened_bench(emptied_database, tmp_path) as bench:
        base, _, endpoint_id = bench.endpoint.url.rpartition("/")
        settings = bench.settings.model_validate(
            bench.settings.model_dump()
            | {"quire_burst": "serverless", "runpod_api_key": KEY, "runpod_endpoint_id": endpoint_id}
            | {"runpod_endpoint_base_url": base, "quire_burst_tick_seconds": 0.05, "quire_burst_patience_seconds": 0}
            | {"runpod_pod_env": "{}"}
        )
        bench.opened(30)
        with transaction(bench.database) as session:
            burst.set_stopped(session, stopped)
        ended, looks = threading.Event(), [0]

        def clock() -> float:
            looks[0] += 1
            if looks[0] == 2:
                ended.set()
            return bench.endpoint.now

        run(settings, bench.database, ended, clock)
        assert bool(bench.endpoint.open_jobs) == (not stopped)
        # One that cannot be cancelled keeps no other.
        first = next(iter(bench.endpoint.jobs), None)
        answer = bench.endpoint.answer
        monkeypatch.setattr(
            bench.endpoint, "answer", lambda *asked: (400, {}) if asked[1].endswith(f"/{first}") else answer(*asked)
        )
        assert cancel_jobs(settings, bench.database) == ([] if stopped else [first])
        assert [job.id for job in bench.endpoint.open_jobs] == ([] if stopped else [first])
