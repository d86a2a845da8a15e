"""Requests that take long: however many there are, all others are answered meanwhile."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import httpx
import psutil
import pytest

from quire.cli.samples import sample_pdf, sample_photo
from quire.embedded import ChildProcess
from quire.embedded.processes import free_port
from tests.api.conftest import API, Replicas, wait_until_ready
from tests.integration.page_flow_bench import Bench

DOCUMENTS = "/api/v1/documents"
# More than the threads that a server has for everything.
MANY = 45


@dataclass
class Api:
    """An API process that may fetch from this machine, and a client of it."""

    process: ChildProcess
    client: httpx.Client

    def rendering(self) -> list[psutil.Process]:
        """Its processes that render pages."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def api(replicas: Replicas) -> Iterator[Api]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
    env = replicas.environment | {"QUIRE_OUTBOUND_ALLOW": "127.0.0.1"}
    url = f"http://127.0.0.1:{port}"
    with (
        ChildProcess(command, log=replicas.folder / "slow.log", env=env, cwd=API) as process,
        httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=MANY + 5)) as client,
    ):
        wait_until_ready(url, process)
        yield Api(process, client)


@contextmanager
def asked_many_times(ask: Callable[[], httpx.Response]) -> Iterator[list[httpx.Response]]:
    """So many equal requests under way during the block; their answers after it."""
    answers: list[httpx.Response] = []
    with ThreadPoolExecutor(MANY) as senders:
        sent = [senders.submit(ask) for _ in range(MANY)]
        time.sleep(1)
        yield answers
        answers += [each.result() for each in sent]


def assert_others_are_answered(client: httpx.Client) -> None:
    began = time.monotonic()
    assert client.get("/livez", timeout=5).status_code == 200
    assert client.get(DOCUMENTS, timeout=5).status_code == 200
    assert time.monotonic() - began < 3


def test_addresses_that_do_not_answer_keep_nobody_else_waiting(api: Api):
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.pdf"
        with asked_many_times(lambda: api.client.post(f"{DOCUMENTS}/import", json={"url": address})) as answers:
            assert_others_are_answered(api.client)
            # With nobody listening any more, those that wait are over.
            silent.close()
    assert {answer.json()["code"] for answer in answers} == {"fetch_failed"}


def test_pages_that_take_long_to_render_keep_nobody_else_waiting(api: Api, replicas_bench: Bench):
    document = api.client.post(DOCUMENTS, files={"file": ("a.pdf", sample_pdf())}).json()["id"]
    replicas_bench.flow.work(UUID(document))
    image = f"{DOCUMENTS}/{document}/pages/1/image"
    stopped: list[psutil.Process] = []
    with ThreadPoolExecutor(2) as senders:
        # One after the other, so that both processes are there, and hang.
        for width in (200, 400):
            sent = senders.submit(api.client.get, image, params={"width": width})
            _until(partial(_renders_with_more_than, api, len(stopped)))
            sent.result()
            stopped += [child for child in api.rendering() if child not in stopped]
            for child in stopped:
                child.send_signal(signal.SIGSTOP)
            if width == 200:
                held = senders.submit(api.client.get, image, params={"width": 900})
                time.sleep(0.3)
        try:
            with asked_many_times(lambda: api.client.get(image)) as answers:
                assert_others_are_answered(api.client)
                for child in stopped:
                    child.send_signal(signal.SIGCONT)
        finally:
            for child in stopped:
                child.send_signal(signal.SIGCONT)
        assert held.result().status_code == 200
    assert len(stopped) == 2
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_exports_that_take_long_keep_nobody_else_waiting(api: Api, replicas_bench: Bench):
    document = api.client.post(DOCUMENTS, files={"file": ("a.pdf", sample_pdf())}).json()["id"]
    replicas_bench.flow.work(UUID(document))
    export = f"{DOCUMENTS}/{document}/export/pdf"
    assert api.client.get(export).status_code == 200
    stopped = api.rendering()
    try:
        for child in stopped:
            child.send_signal(signal.SIGSTOP)
        with asked_many_times(lambda: api.client.get(export)) as answers:
            assert_others_are_answered(api.client)
            for child in stopped:
                child.send_signal(signal.SIGCONT)
    finally:
        for child in stopped:
            child.send_signal(signal.SIGCONT)
    assert {answer.status_code for answer in answers} == {200}


def test_what_is_at_an_address_is_read(api: Api):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(sample_photo())))
            self.end_headers()
            self.wfile.write(sample_photo())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a%20photo.jpg?token=x"
        answer = api.client.post(f"{DOCUMENTS}/import", json={"url": url, "dpi": 200})
        server.shutdown()
    document = answer.json()
    assert (answer.status_code, document["filename"], document["media_type"]) == (202, "a photo.jpg", "image/jpeg")
    assert document["bytes"] == len(sample_photo())
    assert document["options"]["dpi"] == 200


def _until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _renders_with_more_than(api: Api, processes: int) -> bool:
    return len(api.rendering()) > processes
