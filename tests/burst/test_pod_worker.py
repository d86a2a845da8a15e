"""The worker's side of rented pods: it is heard of, drains when it is asked to, and ends its pod when nobody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import redis as redis_client
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine, func, select, text

from quire import tasks
from quire.contracts import OcrPayload
from quire.database import workers
from quire.database.engine import transaction
from quire.database.tables import Document, Page, Worker
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.queues import create_celery, lists_of_queue
from quire.settings import Settings, get_settings
from runtime.own_pod import OwnPod
from runtime.pod_guard import Limits, Moment, PodAge, why_to_end
from tests.burst.fake_pods_api import REFUSED, FakePodsApi, serve_pods_api
from tests.integration.conftest import WORKER, wait_for, worker_environment
from tests.pdfs import write_scanned_pdf

ROOT = Path(__file__).parents[2]
POD, KEY = "pod-1", "key-of-the-pod"
SIGNING_KEY = "a key of the test's own"
PAGES = 12

Start = Callable[..., ChildProcess]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def pods_api() -> Iterator[FakePodsApi]:
    with serve_pods_api() as api:
        yield api


@pytest.fixture
def start(redis: EmbeddedRedis, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker of the `ocr` queue whose engine takes so many seconds for a page."""
    running: list[ChildProcess] = []

    def start_slow(page_seconds: float | str, *arguments: str, **settings: str) -> ChildProcess:
        env = worker_environment(redis, tmp_path, tmp_path / "models", PAGE_SECONDS=str(page_seconds), **settings)
        env["PYTHONPATH"] = str(ROOT)
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.burst.slow_app.celery_app",
            "worker",
            "-l",
            "info",
            "--without-mingle",
        ]
        log = tmp_path / f"worker-{len(running)}.log"
        worker = ChildProcess([*command, "-Q", "ocr", "-c", "1", *arguments], log=log, env=env, cwd=WORKER)
        running.append(worker)
        return worker

    yield start_slow
    for worker in running:
        worker.kill()


def on_a_pod(api: FakePodsApi, **limits: str) -> dict[str, str]:
    return {"RUNPOD_POD_ID": POD, "RUNPOD_API_KEY": KEY, "RUNPOD_API_BASE_URL": api.url, **limits}


def send_book(redis: EmbeddedRedis, folder: Path, pages: int = PAGES) -> None:
    bucket = folder / "objects" / "quire"
    bucket.mkdir(parents=True)
    write_scanned_pdf(bucket / "book.pdf", pages)
    tasks.ocr_document.send(OcrPayload(key="book.pdf"), app=create_celery(Settings(redis_url=redis.url)))


def log_of(worker: ChildProcess) -> str:
    return worker.log.read_text(encoding="utf-8", errors="replace")


def seen(database: Engine) -> list[workers.SeenWorker]:
    with transaction(database) as session:
        return workers.seen_since(session, 60)


def pages_by_status(database: Engine) -> dict[str, int]:
    with transaction(database) as session:
        rows = session.execute(select(Page.status, func.count()).group_by(Page.status)).all()
    return {row[0]: row[1] for row in rows}


def messages(redis: EmbeddedRedis) -> int:
    with redis_client.Redis.from_url(redis.url) as client:
        return sum(int(client.llen(name)) for name in lists_of_queue("ocr"))


# The database's side.


def heartbeat(**changes: object) -> workers.Heartbeat:
    usual = workers.Heartbeat(uuid4(), "celery@a", "a", "ocr", POD, 2, False, False, 5.0)
    return replace(usual, **changes)  # type: ignore[arg-type]


def test_a_worker_is_one_row_that_says_how_it_is_now(emptied_database: Engine):
    first = heartbeat()
    with transaction(emptied_database) as session:
        assert not workers.note(session, first)
    with transaction(emptied_database) as session:
        assert not workers.note(session, replace(first, busy=True, uptime_seconds=15.0))
    (found,) = seen(emptied_database)
    assert (found.id, found.name, found.pod_id, found.processes) == (first.id, "celery@a", POD, 2)
    assert (found.busy, found.draining, found.asked_to_drain, found.is_drained) == (True, False, False, False)
    assert 4.5 < (found.seen_at - found.started_at).total_seconds() + found.seen_seconds < 15
    assert found.seen_seconds < 5


def test_a_pod_that_is_asked_to_drain_is_asked_for_good(emptied_database: Engine):
    """Its command ended and the platform started it again: the new worker is asked as well. Others are not."""
    with transaction(emptied_database) as session:
        workers.note(session, heartbeat())
        assert workers.ask_to_drain(session, [POD, "never heard of"]) == {POD}
        assert workers.note(session, heartbeat())
        assert not workers.note(session, heartbeat(pod_id="pod-2"))
        assert not workers.note(session, heartbeat(pod_id=None))
        assert [each.asked_to_drain for each in workers.seen_since(session, 60)].count(True) == 2


def test_workers_are_asked_by_name_where_they_are_there(emptied_database: Engine):
    gone, here = heartbeat(name="celery@b", pod_id=None), heartbeat(name="celery@b", pod_id=None)
    with transaction(emptied_database) as session:
        workers.note(session, gone)
        session.execute(text("UPDATE workers SET seen_at = now() - interval '10 minutes'"))
        workers.note(session, here)
        assert workers.ask_workers_to_drain(session, ["celery@b", "celery@c"], seconds=60) == {"celery@b"}
        assert workers.note(session, here)
        assert session.get_one(Worker, gone.id).drain_asked_at is None


def test_workers_that_are_long_gone_are_forgotten(emptied_database: Engine):
    with transaction(emptied_database) as session:
        workers.note(session, heartbeat())
        session.execute(text("UPDATE workers SET seen_at = now() - interval '8 days'"))
        workers.note(session, recent := heartbeat())
        workers.forget_old(session)
        assert session.scalars(select(Worker.id)).all() == [recent.id]
        assert workers.seen_since(session, 0) == []


# Workers.


@pytest.mark.parametrize("signing", [False, True])
def test_a_worker_that_is_asked_drains_and_stays(
    signing: bool,
    start: Start,
    redis: EmbeddedRedis,
    emptied_database: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    settings = {"DATABASE_URL": url_of(emptied_database), "QUIRE_HEARTBEAT_SECONDS": "0.2", "RUNPOD_POD_ID": POD}
    if signing:
        settings["QUIRE_SIGNING_KEY"] = SIGNING_KEY
        monkeypatch.setenv("QUIRE_SIGNING_KEY", SIGNING_KEY)
        get_settings.cache_clear()
    try:
        send_book(redis, tmp_path)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    worker = start(0.4, **settings)
    wait_for(lambda: any(each.busy for each in seen(emptied_database)), worker)
    wait_for(lambda: pages_by_status(emptied_database).get("leased", 0) == 4, worker)
    (before,) = seen(emptied_database)
    assert (before.pod_id, before.queue, before.processes, before.draining) == (POD, "ocr", 1, False)

    if signing:
        with transaction(emptied_database) as session:
            assert workers.ask_to_drain(session, [POD]) == {POD}
    else:
        asked = quire(emptied_database, "workers", "drain", before.name, "nobody")
        assert asked.stdout == f"{before.name}  asked to drain\n"
        assert (asked.returncode, "nobody" in asked.stderr) == (2, True)
    wait_for(lambda: seen(emptied_database)[0].is_drained, worker)

    left = pages_by_status(emptied_database)
    assert "leased" not in left
    assert left["pending"] >= 1
    # What is left has a ticket, and this worker does not take it.
    assert messages(redis) >= 1
    time.sleep(1.5)
    assert pages_by_status(emptied_database) == left
    assert messages(redis) >= 1
    assert worker.exit_status is None
    assert seen(emptied_database)[0].is_drained
    with transaction(emptied_database) as session:
        assert session.scalar(select(Document.status)) == "running"
        assert session.scalar(select(func.max(Page.attempts))) == 1


def test_the_command_lists_workers(emptied_database: Engine):
    with transaction(emptied_database) as session:
        workers.note(session, heartbeat(name="celery@a", draining=True))
        workers.note(session, heartbeat(name="celery@b", pod_id=None, busy=True))
    printed = quire(emptied_database, "workers", "list", "--json").stdout.splitlines()
    found = [json.loads(line) for line in printed]
    assert {(each["name"], each["pod_id"], each["state"]) for each in found} == {
        ("celery@a", POD, "drained"),
        ("celery@b", None, "busy"),
    }


def quire(database: Engine, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DATABASE_URL": url_of(database)}
    command = [sys.executable, "-m", "quire.cli.main", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def url_of(database: Engine) -> str:
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


# The guard.


def test_an_idle_pod_ends_itself_but_not_while_it_works(
    start: Start, redis: EmbeddedRedis, pods_api: FakePodsApi, tmp_path: Path
):
    pods_api.replies = [(500, "down")]
    send_book(redis, tmp_path, pages=4)
    limits = {"QUIRE_POD_IDLE_SECONDS": "1.5", "QUIRE_WARM_UP_SECONDS": "4"}
    worker = start(0.8, **on_a_pod(pods_api, **limits))
    # It takes longer than a pod may be idle.
    wait_for(lambda: "succeeded in" in log_of(worker), worker)
    assert "this pod ends" not in log_of(worker)
    wait_for(lambda: len(pods_api.asked) == 2, worker)
    assert pods_api.asked == [("podTerminate", POD)] * 2
    assert pods_api.keys == {f"Bearer {KEY}"}
    # The platform would start the command again.
    assert worker.exit_status is None
    assert "it has had no task for QUIRE_POD_IDLE_SECONDS" in log_of(worker)
    assert KEY not in log_of(worker)
    create_celery(Settings(redis_url=redis.url)).send_task("tasks.echo", kwargs={"payload": ""}, queue="ocr")
    time.sleep(0.5)
    assert messages(redis) == 1


def test_without_postgres_a_worker_works_on_and_without_its_broker_it_ends_its_pod(
    start: Start, redis: EmbeddedRedis, pods_api: FakePodsApi
):
    call = create_celery(Settings(redis_url=redis.url)).send_task("tasks.echo", kwargs={"payload": "here"}, queue="ocr")
    nowhere = {"DATABASE_URL": "postgresql://quire@127.0.0.1:9/quire", "QUIRE_HEARTBEAT_SECONDS": "0.1"}
    limits = {"QUIRE_POD_IDLE_SECONDS": "5", "QUIRE_WARM_UP_SECONDS": "5"}
    worker = start(0, **on_a_pod(pods_api, **limits, **nowhere))
    wait_for(lambda: "does not hear of this worker" in log_of(worker), worker)
    assert call.get(timeout=20) == "here"
    assert pods_api.asked == []
    redis.kill()
    wait_for(lambda: pods_api.asked == [("podTerminate", POD)], worker)
    assert worker.exit_status is None
    assert log_of(worker).count("does not hear of this worker") == 1


def test_a_pod_whose_worker_does_not_start_ends_itself(start: Start, pods_api: FakePodsApi):
    """The platform starts the command again and again; each time the pod is as old as it is."""
    settings = on_a_pod(pods_api, QUIRE_POD_IDLE_SECONDS="1", QUIRE_WARM_UP_SECONDS="2")
    deadline = time.monotonic() + 60
    starts = 0
    while not pods_api.asked and time.monotonic() < deadline:
        worker, starts = start("broken", **settings), starts + 1
        while worker.exit_status is None and not pods_api.asked and time.monotonic() < deadline:
            time.sleep(0.05)
    assert pods_api.asked[0] == ("podTerminate", POD)
    assert starts > 1


def test_a_pod_that_may_not_end_itself_stops_itself_and_asks_on(pods_api: FakePodsApi):
    garbage, busy = (200, "<html>"), (429, "slow down")
    pods_api.replies = [garbage, busy, REFUSED, (403, "no"), REFUSED, (200, {"data": {"podStop": {"id": POD}}})]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        OwnPod(pods_api.url, POD, SecretStr(KEY)).end(sleep)
    asked = [mutation for mutation, _ in pods_api.asked]
    assert asked == ["podTerminate"] * 3 + ["podStop", "podTerminate", "podStop", "podTerminate"]
    assert pauses == [2, 4, 8, 120, 120]


def test_what_the_platform_answers_is_not_logged(pods_api: FakePodsApi, caplog: pytest.LogCaptureFixture):
    pods_api.replies = [(400, f"no such key: {KEY}")]
    OwnPod(pods_api.url, POD, SecretStr(KEY)).ask_to_end()
    assert "refused" in caplog.text
    assert KEY not in caplog.text


def test_nobody_to_ask_is_no_reason_to_give_up():
    pod = OwnPod("http://127.0.0.1:9", POD, SecretStr(KEY))
    assert pod.ask_to_end() == "unknown"


# When.


@pytest.mark.parametrize(
    ("pod", "limits", "reason"),
    [
        (PodAge(age=900, idle=900, silent=0, busy=False), Limits(900, 180, None), "no task"),
        (PodAge(age=899, idle=899, silent=0, busy=False), Limits(900, 180, None), None),
        (PodAge(age=5000, idle=10, silent=900, busy=False), Limits(900, 180, None), "broker"),
        (PodAge(age=5000, idle=0, silent=900, busy=True), Limits(900, 180, 5001), None),
        (PodAge(age=100, idle=100, silent=100, busy=False), Limits(60, 180, None), None),
        (PodAge(age=5000, idle=0, silent=0, busy=True), Limits(900, 180, 5000), "LIFETIME"),
        (PodAge(age=9000, idle=9000, silent=9000, busy=False), Limits(0, 180, None), None),
    ],
)
def test_a_pod_ends_for_one_reason(pod: PodAge, limits: Limits, reason: str | None):
    found = why_to_end(pod, limits)
    assert reason in found if found and reason else found is reason


SECONDS = st.floats(0, 1e6)
LIMITS = st.builds(Limits, idle=SECONDS, grace=SECONDS, lifetime=st.none() | SECONDS.filter(bool))
AGES = st.builds(PodAge, age=SECONDS, idle=SECONDS, silent=SECONDS, busy=st.booleans())


@given(pod=AGES, limits=LIMITS)
def test_a_pod_that_works_or_begins_ends_only_of_age(pod: PodAge, limits: Limits):
    if why_to_end(pod, limits) is not None and (pod.busy or pod.age < limits.grace):
        assert limits.lifetime is not None
        assert pod.age >= limits.lifetime


@given(pod=AGES, limits=LIMITS, later=SECONDS)
def test_a_pod_that_nobody_uses_ends_in_time(pod: PodAge, limits: Limits, later: float):
    """Whatever it is like now, without a task it is over after the grace and the idle time."""
    if limits.idle:
        longest = max(limits.grace, limits.idle)
        old = replace(pod, age=pod.age + longest, idle=pod.idle + longest, busy=False)
        assert why_to_end(old, limits) is not None


@given(pod=AGES, limits=LIMITS, later=SECONDS)
def test_time_alone_never_speaks_for_a_pod(pod: PodAge, limits: Limits, later: float):
    if why_to_end(pod, limits) is not None:
        old = replace(pod, age=pod.age + later, idle=pod.idle + later, silent=pod.silent + later)
        assert why_to_end(old, limits) is not None


@given(pod=AGES)
def test_without_limits_a_pod_stays(pod: PodAge):
    assert why_to_end(pod, Limits(idle=0, grace=0, lifetime=None)) is None


def test_a_moment_outlives_its_process_and_never_lies_ahead(tmp_path: Path):
    first = Moment(tmp_path / "moment")
    assert first.seconds_ago() < 1
    hour_ago, hour_ahead = time.time() - 3600, time.time() + 3600
    os.utime(tmp_path / "moment", (hour_ago, hour_ago))
    again = Moment(tmp_path / "moment")
    assert 3599 < again.seconds_ago() < 3610
    assert 3599 < first.seconds_ago() < 3610
    again.set_to_now()
    assert max(first.seconds_ago(), again.seconds_ago()) < 1
    os.utime(tmp_path / "moment", (hour_ahead, hour_ahead))
    assert 0 <= Moment(tmp_path / "moment").seconds_ago() < 1
