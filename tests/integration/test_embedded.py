"""The embedded servers: they keep their data, and end with whoever started them, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import text

from quire.database.engine import connect
from quire.embedded import ChildProcess, EmbeddedPostgres, EmbeddedRedis
from quire.settings import Settings

STARTER = """
import sys, time
from pathlib import Path
from quire.embedded import EmbeddedPostgres, EmbeddedRedis
folder = Path(sys.argv[1])
with EmbeddedRedis(folder / "redis") as server, EmbeddedPostgres(folder / "postgres"):
    print(server.pid, (folder / "postgres" / "postmaster.pid").read_text().splitlines()[0], flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_servers_end_when_their_starter_is_killed(tmp_path: Path, how: signal.Signals):
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    assert len(pids) == 2
    assert all(is_running(pid) for pid in pids)
    starter.send_signal(how)
    starter.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path):
    for attempt in range(2):
        with EmbeddedPostgres(tmp_path / "postgres") as server:
            url = Settings.model_validate({"database_url": server.url}).sqlalchemy_url
            assert url is not None
            engine = connect(url)
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS kept (attempt integer)"))
                connection.execute(text("INSERT INTO kept VALUES (:attempt)"), {"attempt": attempt})
                assert connection.scalar(text("SELECT count(*) FROM kept")) == attempt + 1
            engine.dispose()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_restarts_where_it_is(tmp_path: Path, mode: Literal["fast", "immediate"]):
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        url, before = server.url, postmaster_of(tmp_path / "postgres")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
            connection.commit()
            # As another run of pytest does.
            tmp_path.chmod(0o700)
            server.restart(mode)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert server.url == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
        after = postmaster_of(tmp_path / "postgres")
        assert is_running(after)
        assert not is_running(before)
    assert not is_running(after)


def postmaster_of(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().splitlines()[0])


def test_a_suspended_process_halts_goes_on_and_hears_when_to_stop(tmp_path: Path):
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with ChildProcess(command, log=tmp_path / "sleep.log") as process:
        process.suspend()
        wait_for_status(process, psutil.STATUS_STOPPED)
        process.resume()
        wait_for_status(process, psutil.STATUS_SLEEPING)
        process.suspend()
        wait_for_status(process, psutil.STATUS_STOPPED)
        started = time.monotonic()
        process.stop(grace_seconds=30)
        assert time.monotonic() - started < 10
        assert process.exit_status == -signal.SIGTERM


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux shares processors between sessions")
def test_a_nice_process_gives_way_to_those_of_other_sessions(tmp_path: Path):
    """Where sessions are groups of their own, a process that is nice would else be so to nobody but itself."""
    command = [sys.executable, "-c", "while True: pass"]
    cores = psutil.Process().cpu_affinity()
    with (
        ChildProcess(command, log=tmp_path / "nice.log", niceness=10) as nice,
        ChildProcess(command, log=tmp_path / "other.log") as other,
    ):
        for process in (nice, other):
            psutil.Process(process.pid).cpu_affinity(cores[:1])
        deadline = time.monotonic() + 20
        # On a core that they share; at least so long that a turn of either is small beside it.
        while (busy := seconds_of(other)) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert seconds_of(nice) < busy / 2


def seconds_of(process: ChildProcess) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def wait_for_status(process: ChildProcess, status: str) -> None:
    deadline = time.monotonic() + 10
    while psutil.Process(process.pid).status() != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_redis_keeps_its_queues_over_a_restart_and_wants_its_password(tmp_path: Path):
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        client.lpush("ocr", "ticket")
    with EmbeddedRedis(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.lrange("ocr", 0, -1) == [b"ticket"]
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
