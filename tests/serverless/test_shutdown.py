"""RunPod's worker loop against a platform that holds requests for jobs open, as the real one does for 90 seconds."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import aiohttp
import pytest

from quire.embedded import ChildProcess
from runtime import runpod_loop
from runtime.runpod_loop import RunpodLoop, sending_again
from tests.serverless.conftest import FAST, REAL, Start, put_cells
from tests.serverless.standin import Platform


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(poll_seconds=60) as standin:
        yield standin


@pytest.fixture(scope="module")
def handler(start: Start, platform: Platform) -> ChildProcess:
    # Pages that take a while, or SIGTERM comes too late.
    process = start(FAST, "fast.log", SHORT_PAUSES="1", CHAOS_PAGE_MILLISECONDS="20", **platform.environment)
    assert platform.until(lambda: platform.polls > 0, 60), process.last_lines(40)
    return process


def send(platform: Platform, folder: Path, job: str, pages: int = 1) -> None:
    serials = range(840_000, 840_000 + pages)
    platform.send(job, {"task": "tasks.ocr_document", "payload": {"key": put_cells(folder, f"{pages}.pdf", serials)}})


def test_a_result_is_sent_again_where_the_connection_breaks(handler: ChildProcess, platform: Platform, folder: Path):
    with platform.changed:
        platform.drop = 2
    send(platform, folder, "dropped")
    assert platform.result("dropped", 10)["output"]["status"] == "ok"
    assert platform.drop == 0


def test_a_job_whose_id_cannot_be_sent_back_does_not_keep_others_from_being_done(
    handler: ChildProcess, platform: Platform, folder: Path
):
    for nonsense in (None, 7, "", "a\nb"):
        with platform.changed:
            platform.waiting.append({"id": nonsense, "input": {}})
    send(platform, folder, "after")
    assert platform.result("after", 10)["output"]["status"] == "ok"


# The last one for this handler: it ends it.
def test_after_sigterm_no_more_jobs_are_asked_for(handler: ChildProcess, platform: Platform, folder: Path):
    send(platform, folder, "last", pages=40)
    assert platform.until(lambda: "last" in platform.taken)
    send(platform, folder, "for another worker")
    begun = time.monotonic()
    handler.stop(grace_seconds=10)
    assert handler.exit_status == 0, handler.last_lines(20)
    assert time.monotonic() - begun < 8
    assert platform.results["last"][0]["output"]["status"] == "ok"
    assert "for another worker" not in platform.taken


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The signals that reach RunPod's loop, which ends it."""
    monkeypatch.setattr(runpod_loop, "_ON_ITS_WAY_SECONDS", 0.2)
    heard: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda number, _: heard.append(number)) for number in numbers]
    yield heard
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_an_open_request_for_jobs_is_given_up(ends: list[int]):
    async def scenario() -> float:
        loop = RunpodLoop(lambda: None)
        taking = asyncio.create_task(loop.taking(lambda: asyncio.sleep(60, [{"id": "late"}]))())
        hearing = asyncio.create_task(loop.hearing_stops(lambda: asyncio.sleep(60, ["late"]))())
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        signal.raise_signal(signal.SIGTERM)
        assert (await taking, await hearing) == ([], [])
        return time.monotonic() - begun

    assert asyncio.run(scenario()) < 1
    assert ends == [signal.SIGTERM]


def test_a_job_that_is_on_its_way_is_done_and_no_other_is_asked_for(ends: list[int]):
    told: list[bool] = []

    async def scenario() -> None:
        loop, job = RunpodLoop(lambda: told.append(True)), {"id": "on its way"}
        taking = asyncio.create_task(loop.taking(lambda: asyncio.sleep(0.1, [job]))())
        hearing = asyncio.create_task(loop.hearing_stops(lambda: asyncio.sleep(60, ["late"]))())
        await asyncio.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)
        assert await taking == [job]
        assert (ends, hearing.done()) == ([], False)
        assert await loop.taking(lambda: pytest.fail("asked"))() == []
        assert await hearing == []

    asyncio.run(scenario())
    assert (ends, told) == ([signal.SIGTERM], [True])


def test_a_platform_that_is_away_is_not_asked_without_pause(ends: list[int]):
    async def scenario() -> float:
        take, begun = RunpodLoop(lambda: None).taking(lambda: asyncio.sleep(0, None)), time.monotonic()
        assert await take() == []
        return time.monotonic() - begun

    assert asyncio.run(scenario()) > 0.4


def test_a_result_that_is_refused_is_not_sent_again():
    sent: list[str] = []

    async def send(what: str) -> None:
        sent.append(what)
        raise aiohttp.ClientResponseError(Mock(), (), status=413)

    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(sending_again(send)("result"))
    assert sent == ["result"]


def test_sigterm_is_heard_before_the_models_are_loaded(start: Start, platform: Platform):
    """The first process of a container, which this one is there, is not ended by a signal that it does not handle."""
    starting = start(REAL, "starting.log", **platform.environment)
    deadline = time.monotonic() + 10
    while not handles(starting, signal.SIGTERM):
        assert starting.exit_status is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert starting.log.read_text() == ""
    starting.stop()
    assert starting.exit_status == 0


def handles(process: ChildProcess, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught & 1 << (number - 1))
