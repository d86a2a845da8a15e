"""Somebody else can write to Redis: what they put there is not run by workers that ask for signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from celery import Celery

from quire import tasks
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.embedded.processes import free_port
from quire.errors import UnsignedMessage
from quire.queues import create_celery
from quire.settings import Settings, get_settings
from tests.integration.conftest import is_ready, start_worker, wait_for, worker_environment

KEY = "a key of the test's own"


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QUIRE_SIGNING_KEY", KEY)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def worker(redis: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildProcess]:
    folder = tmp_path_factory.mktemp("signed")
    env = worker_environment(redis, folder, folder / "models", QUIRE_SIGNING_KEY=KEY)
    with start_worker(env, folder / "worker.log", "-Q", "default", "-c", "1") as process:
        wait_for(lambda: is_ready(process), process)
        yield process


@pytest.fixture
def app(redis: EmbeddedRedis) -> Celery:
    return create_celery(Settings(redis_url=redis.url))


def send_changed(redis: EmbeddedRedis, app: Celery, change: Callable[[list[Any]], None]) -> Any:
    """Queue a signed call of echo whose body somebody changes while it waits."""
    call = app.send_task("tasks.echo", kwargs={"payload": "asked for"}, queue="waiting")
    with redis_client.Redis.from_url(redis.url) as client:
        message = json.loads(client.rpop("waiting"))
        body = json.loads(base64.b64decode(message["body"]))
        change(body)
        message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
        client.lpush("default", json.dumps(message))
    return call


def test_a_signed_call_is_run(worker: ChildProcess, signing: None, app: Celery):
    call = tasks.echo.send(tasks.echo.parse(({"ünï": [1, 2.5, None]},)), app=app)
    assert call.get(timeout=20) == {"ünï": [1, 2.5, None]}


def test_a_call_without_a_signature_is_refused(worker: ChildProcess, app: Celery):
    call = tasks.echo.send(tasks.echo.parse(("hello",)), app=app)
    with pytest.raises(UnsignedMessage, match="QUIRE_SIGNING_KEY"):
        call.get(timeout=20)


def test_a_message_that_waits_unchanged_is_run(worker: ChildProcess, signing: None, redis: EmbeddedRedis, app: Celery):
    assert send_changed(redis, app, lambda body: None).get(timeout=20) == "asked for"


def test_arguments_that_were_changed_are_refused(
    worker: ChildProcess, signing: None, redis: EmbeddedRedis, app: Celery
):
    call = send_changed(redis, app, lambda body: body[1].update(payload="something else"))
    with pytest.raises(UnsignedMessage):
        call.get(timeout=20)


def test_a_worker_signs_nothing_for_others(worker: ChildProcess, signing: None, redis: EmbeddedRedis, app: Celery):
    callback = app.signature("tasks.echo", args=("laundered",), queue="loot")
    call = send_changed(redis, app, lambda body: body[2].update(callbacks=[dict(callback)]))
    with pytest.raises(UnsignedMessage, match="callbacks"):
        call.get(timeout=20)
    with redis_client.Redis.from_url(redis.url) as client:
        assert client.llen("loot") == 0


def test_a_retry_is_signed(signing: None, app: Celery, redis: EmbeddedRedis, tmp_path: Path):
    env = worker_environment(redis, tmp_path, tmp_path / "models", QUIRE_SIGNING_KEY=KEY)
    env["DATABASE_URL"] = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    with start_worker(env, tmp_path / "worker.log", "-Q", "retried", "-c", "1") as process:
        wait_for(lambda: is_ready(process), process)
        app.send_task("tasks.reconcile", queue="retried")
        wait_for(lambda: process.log.read_text().count("Retry in") >= 2, process)
        assert "UnsignedMessage" not in process.log.read_text()
