"""`quire burst` as it is called, against real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from quire.database import burst as ledger
from quire.database import remote_jobs
from quire.database.engine import transaction
from tests.burst.fake_runpod import KEY
from tests.burst.pods_bench import PodsBench, opened_bench

COMMAND = [sys.executable, "-m", "quire.cli.main", "burst"]


@pytest.fixture
def bench(emptied_database: Engine) -> Iterator[PodsBench]:
    with opened_bench(emptied_database) as opened:
        yield opened


def environment(bench: PodsBench, **others: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    url = bench.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return (
        kept
        | {"DATABASE_URL": url, "QUIRE_BURST": "pods", "RUNPOD_API_KEY": KEY, "RUNPOD_API_BASE_URL": bench.runpod.url}
        | {"RUNPOD_POD_IMAGE": "i", "RUNPOD_POD_GPU_TYPES": "GPU-A", "QUIRE_BURST_TICK_SECONDS": "0.2"}
        | others
    )


def called(bench: PodsBench, *arguments: str, **others: str) -> subprocess.CompletedProcess[str]:
    given = environment(bench, **others)
    return subprocess.run([*COMMAND, *arguments], check=False, env=given, capture_output=True, text=True, timeout=60)


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_controller_from_its_start_to_stop(bench):
    bench.submit(3000)
    dry = as_json(called(bench, "--dry-run", "--json"))
    assert dry["inputs"]["work"]["waiting_pages"] == 3000
    assert "3,000 pages wait" in dry["reason"]
    assert (bench.runpod.pods, bench.rows()) == ({}, [])

    with subprocess.Popen([*COMMAND, "run"], env=environment(bench), stderr=subprocess.PIPE, text=True) as controller:
        assert controller.stderr is not None
        lines = []
        try:
            for line in controller.stderr:
                lines.append(line)
                if "pods: rented" in line:
                    break
        finally:
            controller.send_signal(signal.SIGTERM)
        lines += controller.stderr.readlines()
        assert controller.wait(20) == 0
    assert bench.runpod.pods
    assert KEY not in "".join(lines)

    status = as_json(called(bench, "status", "--json"))
    assert {pod["id"] for pod in status["pods"]} == set(bench.runpod.pods)
    assert "3,000 pages wait" in status["decision"]
    # Also where QUIRE_BURST was switched since, and what pods are made of is not set any more.
    others = {"QUIRE_BURST": "serverless", "RUNPOD_POD_IMAGE": "", "RUNPOD_ENDPOINT_ID": "ep1"}
    assert called(bench, "stop", "--now", **others).returncode == 0
    assert bench.runpod.pods == {}
    assert as_json(called(bench, "--dry-run", "--json"))["decision"]["create"] == 0
    assert called(bench, "resume").returncode == 0
    with transaction(bench.database) as session:
        assert not ledger.state(session).stopped


def test_everything_can_be_ended_with_the_database_away(bench):
    bench.runpod.rent("quire-burst-main-by-hand")
    done = called(bench, "stop", "--now", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 0, done.stderr
    assert bench.runpod.pods == {}


def test_nothing_is_rented_while_it_is_off(bench):
    done = called(bench, "run", QUIRE_BURST="off")
    assert (done.returncode, "QUIRE_BURST is off" in done.stderr) == (1, True)


def test_a_dry_run_says_what_would_be_sent_to_an_endpoint(bench):
    bench.submit(3000)
    others = {"QUIRE_BURST": "serverless", "RUNPOD_ENDPOINT_ID": "ep1", "QUIRE_BURST_PATIENCE_SECONDS": "0"}
    dry = as_json(called(bench, "--dry-run", "--json", **others))
    assert dry["decision"] == {"jobs": 3, "pages": 150}
    assert "3000 pages wait" in dry["reason"]
    with transaction(bench.database) as session:
        assert remote_jobs.count_open(session) == 0
