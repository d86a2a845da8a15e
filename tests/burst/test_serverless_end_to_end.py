"""Real pages, read by the real handler in a process of its own, which sees what the endpoint's workers see."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.burst.fake_endpoint import Handler
from tests.burst.serverless_bench import BUCKET, ServerlessBench, opened_bench
from tests.pdfs import words_of, write_scanned_pdf

ROOT = Path(__file__).parents[2]
PAGES = 3
# For an answer; longer than the worker's own watchdog waits.
LONGEST_SECONDS = 80


@contextmanager
def remote_worker(bench: ServerlessBench, models: Path, log: Path, **variables: str) -> Iterator[Handler]:
    """What runs jobs with the real handler and the real engine."""
    foreign = ("CELERY_", "S3_", "REDIS_URL", "DATABASE_URL", "QUIRE_", "PADDLEOCR_", "RUNPOD_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    env = inherited | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("apps/worker", "packages/shared", ".")),
        "QUIRE_OBJECT_DIR": str(bench.settings.quire_object_dir),
        "QUIRE_RUNTIME_DIR": str(log.parent / "remote"),
        "QUIRE_MODEL_DIR": str(models),
        "QUIRE_BUCKETS": BUCKET,
        # Larger results come through storage.
        "QUIRE_MAX_INLINE_RESULT_BYTES": "500",
        **variables,
    }
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.burst.remote_worker"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, text=True, cwd=log.parent
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        output = process.stdout

        def run(said: dict[str, Any], job_id: str) -> dict[str, Any]:
            print(json.dumps({"id": job_id, "input": said}), file=process.stdin, flush=True)
            if not select.select([output], [], [], LONGEST_SECONDS)[0]:
                # Its own watchdog did not run: native code, or an import, does not return. This says where.
                process.send_signal(signal.SIGABRT)
                process.wait(10)
            line = output.readline()
            assert line, log.read_text()[-4000:]
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            yield run
        finally:
            process.kill()


def url_of(database: Engine) -> str:
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.mark.parametrize("mode", ["tickets", "ranges"])
def test_scanned_pages_are_read_at_the_endpoint(emptied_database: Engine, tmp_path: Path, model_dir: Path, mode: str):
    has_database = mode == "tickets"
    variables = {"DATABASE_URL": url_of(emptied_database)} if has_database else {}
    with (
        opened_bench(emptied_database, tmp_path, quire_burst_remote_database=has_database) as bench,
        remote_worker(bench, model_dir, tmp_path / "worker.log", **variables) as handler,
    ):
        bench.endpoint.handler = handler
        scan = write_scanned_pdf(tmp_path / "scan.pdf", PAGES)
        bench.store.put(BUCKET, "scan.pdf", io.BytesIO(scan.read_bytes()))
        document = bench.submit(0, key="scan.pdf", waits=True)
        deadline = time.monotonic() + 90
        while bench.document(document).status != "completed":
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()[-2000:]
            bench.tick()
            bench.endpoint.work(5)
        assert bench.tick().open_jobs == 0
        pages = bench.pages(document)
        assert [pages[number].text for number in range(1, PAGES + 1)] == [words_of(n) for n in range(1, PAGES + 1)]
        assert all(pages[number].engine != "instant" and pages[number].source == "ocr" for number in pages)
        assert all(page.words and page.detections for page in pages.values())
        assert len(bench.endpoint.jobs) == 1
        results = bench.settings.quire_object_dir / "quire" / "results"
        assert not (results.exists() and list(results.iterdir())), "a result is left in storage"
