"""The handler called as a function, and the parts that it is made of."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import serverless_handler
from flow.time_limit import time_limit
from ocr.engines import TextLine
from quire import tasks
from quire.contracts import OcrResult
from quire.errors import EngineUnavailable, ObjectNotFound, PageTimeout, StorageUnreachable
from quire.settings import Settings
from quire.storage import FolderStore
from runtime import pool
from runtime.binding import TaskContext
from runtime.one_thread import OneThread
from runtime.platform_result import carried, without_surrogates
from tests.engines import InstantEngine

PASSWORD = "hunter2-4111-1111"
JOB = {"id": "job-1", "input": {"task": "tasks.ocr_document", "payload": {"key": "a.pdf"}}}


@pytest.fixture
def answer_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the handler answers where the task's function is this one."""

    def ask(function: Any, job: Any = JOB) -> dict[str, Any]:
        task = SimpleNamespace(declaration=tasks.ocr_document, function=function)
        monkeypatch.setattr(serverless_handler, "_TASKS", {"tasks.ocr_document": task})
        settings = Settings(database_url=f"postgresql://quire:{PASSWORD}@db/quire")
        monkeypatch.setattr(serverless_handler, "get_settings", lambda: settings)
        return serverless_handler.handler(job)

    return ask


def raises(error: BaseException) -> Any:
    def function(_payload: Any, _context: TaskContext) -> OcrResult:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ObjectNotFound("There is no object 'a.pdf'."), "object_not_found: There is no object 'a.pdf'."),
        (StorageUnreachable("No answer."), "storage_unreachable: No answer. Send the job again."),
        (StorageUnreachable("Two\nlines \ud800."), "storage_unreachable: Two lines \ufffd. Send the job again."),
        (StorageUnreachable(f"postgresql://u:{PASSWORD}@db"), "storage_unreachable: postgresql://u:***@db Send the jo"),
        (StorageUnreachable(f"It is {PASSWORD}."), "storage_unreachable: It is ***."),
        (ValueError(PASSWORD), "internal: There is an error in Quire (ValueError); the worker's log has the details."),
        (SystemExit(3), "internal: There is an error in Quire (SystemExit);"),
        (MemoryError(), "out_of_memory: The document needs more memory than there is."),
        # A terminal that shows the log does as it is told.
        (StorageUnreachable("a\x1b[31mb\0"), "storage_unreachable: a\ufffd[31mb\ufffd Send the job again."),
    ],
)
def test_every_error_is_one_line_that_begins_with_a_code(answer_of: Any, error: BaseException, text: str):
    answer = answer_of(raises(error))
    assert answer.keys() == {"status", "error"}
    assert answer["error"].startswith(text)
    assert PASSWORD not in answer["error"]


def test_a_result_is_what_celery_returns(answer_of: Any):
    answer = answer_of(lambda payload, context: OcrResult(status="completed", page_count=1, text="a\ud800b"))
    assert answer["status"] == "ok"
    assert answer["result"]["text"] == "a\ufffdb"
    assert "detections" not in answer["result"]


@pytest.mark.parametrize(
    ("given", "kept"), [("job_1-e2", True), ("../../x", False), ("", False), (7, False), (None, False)]
)
def test_the_id_of_a_job_is_that_of_its_task_if_it_can_be_part_of_a_key(answer_of: Any, given: Any, kept: bool):
    seen: list[str] = []

    def note(_payload: Any, context: TaskContext) -> OcrResult:
        seen.append(context.task_id)
        return OcrResult(status="completed")

    answer_of(note, JOB | {"id": given})
    assert (seen[0] == given) is kept
    assert set(seen[0]) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_jobs_that_are_tried_out_are_different_ones_although_they_have_one_id(answer_of: Any):
    seen: list[str] = []

    def note(_payload: Any, context: TaskContext) -> OcrResult:
        seen.append(context.task_id)
        return OcrResult(status="completed")

    for _ in range(2):
        answer_of(note, JOB | {"id": "local_test"})
    assert len({*seen, "local_test"}) == 3


def test_a_long_unknown_name_is_answered_at_once(answer_of: Any):
    job = {"id": "long", "input": {"task": "tasks.ocr_document", "payload": {"key": "a.pdf", "a.-" * 15_000: 1}}}
    begun = time.monotonic()
    error = answer_of(lambda payload, context: pytest.fail("called"), job)["error"]
    assert time.monotonic() - begun < 1
    assert error.startswith("invalid_payload: tasks.ocr_document: unknown field 'a.-a.-")


@pytest.mark.parametrize("part", ["task", "payload"])
def test_what_is_nested_too_deep_is_refused(answer_of: Any, part: str):
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    given = {"task": "tasks.ocr_document", "payload": {}} | {part: deep}
    error = answer_of(lambda payload, context: pytest.fail("called"), {"id": "deep", "input": given})["error"]
    assert error.startswith("invalid_payload: ")


@pytest.mark.parametrize("job", [None, [], {}, {"id": "x"}, {"id": "x", "input": None}, {"id": "x", "input": "text"}])
def test_what_is_no_job_is_refused(answer_of: Any, job: Any):
    error = answer_of(lambda payload, context: pytest.fail("called"), job)["error"]
    assert error.startswith("invalid_payload: The job has no input. Send {")


def test_an_engine_that_reads_nonsense_is_unfit(monkeypatch: pytest.MonkeyPatch):
    class Nonsense(InstantEngine):
        def recognize(self, images: Any, languages: Any) -> list[list[TextLine]]:
            box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
            return [[TextLine("@@@ 012", box, 0.99)]]

    monkeypatch.setattr(pool, "get_ocr_engine", Nonsense)
    with pytest.raises(EngineUnavailable, match="does not read its test page"):
        serverless_handler.check_engine()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_the_size_of_a_result_is_counted_in_bytes(store: FolderStore, tmp_path: Path):
    result = {"status": "completed", "page_count": 1, "text": "Ж" * 100}
    size = len(json.dumps(result, ensure_ascii=False).encode())
    fits, short = Settings(quire_max_inline_result_bytes=size), Settings(quire_max_inline_result_bytes=size - 1)
    assert carried(result, "job", fits, store) == result
    place = {"result_bucket": "quire", "result_key": "results/job.json"}
    assert carried(result, "job", short, store) == place | {"status": "completed", "page_count": 1}
    assert json.loads((tmp_path / "quire" / "results" / "job.json").read_bytes()) == result


def test_no_setting_lets_a_result_be_larger_than_the_platform_takes(store: FolderStore):
    settings = Settings(quire_max_inline_result_bytes=10**9)
    assert "result_key" in carried({"text": "x" * 9_500_000}, "job", settings, store)


def test_what_is_stored_already_is_not_replaced_by_less(store: FolderStore, tmp_path: Path):
    summary = {"result_bucket": "quire", "result_key": "results/job.json", "errors": [{"code": "corrupt"}] * 100}
    found = carried(summary, "job", Settings(quire_max_inline_result_bytes=500), store)
    assert found == {"result_bucket": "quire", "result_key": "results/job.json"}
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_none_is_an_error(store: FolderStore):
    with pytest.raises(ValueError, match="JSON"):
        carried({"confidence": float("nan")}, "job", Settings(), store)


def test_halves_of_characters_are_replaced_and_whole_ones_kept():
    assert without_surrogates({"a\udc00": ["\ud83d\ude00", "x\ud83d", 1.5, None]}) == {
        "a\ufffd": ["😀", "x\ufffd", 1.5, None]
    }


def in_thread(call: Any) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    if caught:
        raise caught[0]


def test_a_page_is_interrupted_in_a_thread_as_well():
    def page() -> None:
        with time_limit(0.2, "too long"):
            while True:
                try:
                    time.sleep(0.01)
                except Exception:
                    pytest.fail("taken for the page's own error")

    with pytest.raises(PageTimeout, match="too long"):
        in_thread(page)


def test_a_page_that_takes_less_is_not_interrupted():
    def pages() -> None:
        for _ in range(20):
            with time_limit(0.05, "too long"):
                time.sleep(0.01)
        time.sleep(0.1)

    in_thread(pages)


def test_jobs_run_one_after_the_other_although_one_was_cancelled():
    order: list[str] = []

    def work(job: str, should_stop: Any) -> str:
        order.append(f"{job} begins")
        while job == "long" and not should_stop():
            time.sleep(0.01)
        time.sleep(0.05)
        order.append(f"{job} ends")
        return job.upper()

    async def scenario() -> str:
        jobs = OneThread(work, Settings())
        long, never = (asyncio.create_task(jobs.run(job)) for job in ("long", "never"))
        await asyncio.sleep(0.05)
        long.cancel()
        never.cancel()
        ends = await asyncio.gather(long, never, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
        return await jobs.run("next")

    assert asyncio.run(scenario()) == "NEXT"
    assert order == ["long begins", "long ends", "next begins", "next ends"]


def test_a_second_sigterm_does_not_put_the_end_off():
    def work(job: str, should_stop: Any) -> float:
        begun = time.monotonic()
        while not should_stop() and time.monotonic() - begun < 5:
            time.sleep(0.01)
        return time.monotonic() - begun

    async def scenario() -> float:
        jobs = OneThread(work, Settings(quire_drain_seconds=1))
        running = asyncio.create_task(jobs.run("long"))
        for _ in range(8):
            await asyncio.sleep(0.1)
            signal.raise_signal(signal.SIGTERM)
        return await running

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert asyncio.run(scenario()) < 1.1
    finally:
        signal.signal(signal.SIGTERM, before)
