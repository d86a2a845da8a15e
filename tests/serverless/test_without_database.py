"""RunPod's worker loop without a database, and handlers that are unfit, stopped or stuck."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from quire import tasks
from quire.contracts import OcrResult
from quire.embedded import ChildProcess
from quire.storage import FolderStore
from tests.chaos.serials import text_of
from tests.serverless.conftest import BUCKET, FAST, REAL, Start, put_cells
from tests.serverless.standin import Platform

PAGES = 60


@pytest.fixture(scope="module")
def handler(start: Start, platform: Platform) -> ChildProcess:
    limits = {"QUIRE_MAX_INLINE_RESULT_BYTES": "5000", "QUIRE_DRAIN_SECONDS": "1"}
    process = start(FAST, "fast.log", SHORT_PAUSES="1", CHAOS_PAGE_MILLISECONDS="40", **limits, **platform.environment)
    assert platform.until(lambda: platform.polls > 0, 60), process.last_lines(40)
    return process


def send(platform: Platform, job: str, **payload: Any) -> None:
    platform.send(job, {"task": "tasks.ocr_pdf_document", "payload": payload})


def result_of(posted: dict[str, Any]) -> OcrResult:
    assert posted["output"]["status"] == "ok", posted
    return tasks.ocr_pdf_document.load_result(posted["output"]["result"])


def wait_for_line(process: ChildProcess, line: str, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while line not in process.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_for_end(process: ChildProcess, seconds: float = 20) -> int | None:
    deadline = time.monotonic() + seconds
    while process.exit_status is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return process.exit_status


def test_a_result_has_its_pages(handler: ChildProcess, platform: Platform, folder: Path):
    send(platform, "small", key=put_cells(folder, "small.pdf", [800_001, 800_002]), pages="2")
    result = result_of(platform.result("small"))
    assert (result.status, result.page_count, result.text) == ("completed", 2, text_of(800_002))
    assert [page.page_number for page in result.pages or ()] == [2]
    wait_for_line(handler, "small | Finished.")
    # At DEBUG, which is its default, the package prints what handlers return.
    log = handler.log.read_text()
    assert text_of(800_002) not in log
    assert "This process may take" in log


def test_a_large_result_is_stored_and_its_key_returned(handler: ChildProcess, platform: Platform, folder: Path):
    serials = range(800_100, 800_150)
    send(platform, "large", key=put_cells(folder, "large.pdf", serials))
    posted = platform.result("large")
    result = result_of(posted)
    assert len(json.dumps(posted)) < 5000
    assert (result.result_bucket, result.result_key, result.pages) == (BUCKET, "results/large.json", None)
    stored = (FolderStore(folder / "objects").root / BUCKET / "results" / "large.json").read_bytes()
    pages = tasks.ocr_pdf_document.load_result(json.loads(stored)).pages or ()
    assert [page.text for page in pages] == [text_of(serial) for serial in serials]


def test_a_document_that_cannot_be_read_is_an_error(handler: ChildProcess, platform: Platform):
    send(platform, "missing", key="no-such.pdf")
    assert platform.result("missing") == {
        "output": {"status": "error"},
        "error": "object_not_found: There is no object 'no-such.pdf' in 'quire'.",
    }


def test_a_document_id_alone_needs_a_database(handler: ChildProcess, platform: Platform):
    send(platform, "id", document_id="018f0000-0000-7000-8000-000000000001")
    assert "no DATABASE_URL to look a document_id up in" in platform.result("id")["error"]


def test_a_cancelled_job_stops_between_pages_and_the_next_one_waits_for_that(
    handler: ChildProcess, platform: Platform, folder: Path
):
    send(platform, "cancelled", key=put_cells(folder, "long.pdf", list(range(810_000, 810_000 + PAGES))))
    assert platform.until(lambda: "cancelled" in platform.taken)
    time.sleep(0.3)
    platform.stop("cancelled")
    send(platform, "next", key=put_cells(folder, "next.pdf", [800_200]))
    begun = time.monotonic()
    assert result_of(platform.result("next")).text == text_of(800_200)
    # Eight pages are read together; all of them would have taken 2.4 s.
    assert time.monotonic() - begun < 1.5
    assert "cancelled" not in platform.results
    wait_for_line(handler, "next | Finished.")
    log = handler.log.read_text()
    assert log.index("the job failed: worker_stopped") < log.index("next | Finished.")


# The last one for this handler: it ends it.
def test_sigterm_ends_a_job_that_takes_too_long_with_an_error(handler: ChildProcess, platform: Platform, folder: Path):
    send(platform, "last", key=put_cells(folder, "last.pdf", list(range(820_000, 820_000 + 2 * PAGES))))
    assert platform.until(lambda: "last" in platform.taken)
    time.sleep(0.3)
    handler.stop()
    assert handler.exit_status == 0, handler.last_lines(20)
    error = "worker_stopped: The worker had to stop before the document was read. Send the job again."
    assert platform.results["last"] == [{"output": {"status": "error"}, "error": error}]


def test_a_job_that_does_not_hear_that_it_was_cancelled_ends_the_process(
    start: Start, platform: Platform, folder: Path
):
    limits = {"QUIRE_PAGE_SECONDS": "0.5", "CHAOS_PAGE_MILLISECONDS": "60000"}
    stuck = start(FAST, "stuck.log", **limits, **platform.environment)
    send(platform, "stuck", key=put_cells(folder, "stuck.pdf", [800_300]))
    assert platform.until(lambda: "stuck" in platform.taken, 60)
    time.sleep(0.3)
    platform.stop("stuck")
    assert wait_for_end(stuck) == 1, stuck.last_lines(20)
    assert "recognize" in stuck.log.read_text()


def test_a_worker_whose_models_are_missing_takes_no_job_and_says_why(start: Start, platform: Platform, folder: Path):
    before = len(platform.taken)
    missing = {"PADDLEOCR_DET_MODEL_DIR": str(folder / "nothing"), "QUIRE_OCR_ENGINE": "lean"}
    unfit = start(REAL, "missing.log", **missing, **platform.environment)
    assert wait_for_end(unfit, 60) == 1, unfit.last_lines(20)
    said = next(ping for ping in platform.pings if ping.get("status") == "unhealthy")
    assert said["check"] == "engine_reads"
    assert said["reason"].startswith("EngineUnavailable: ")
    assert "PADDLEOCR_DET_MODEL_DIR" in said["reason"]
    assert len(platform.taken) == before
