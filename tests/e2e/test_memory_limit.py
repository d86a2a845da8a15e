"""A file that makes native code take all memory ends its process; the worker and other documents go on."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from quire.settings import Settings
from runtime.memory_limit import limit_bytes
from tests.pdfs import write_scanned_pdf
from tests.unit.hostile_pdfs import hostile_pdfs

BOMB = "PDF, bomb: a content of q"
LIMIT_MIB = 3000


def submit(stack: Stack, content: bytes) -> str:
    answer = httpx.post(f"{stack.api_url}/api/v1/ocr/process", files={"file": ("a.pdf", content)}, timeout=30)
    return str(answer.raise_for_status().json()["task_id"])


def ended(stack: Stack, task_id: str) -> dict[str, object]:
    deadline = time.monotonic() + 120
    while True:
        task: dict[str, object] = httpx.get(f"{stack.api_url}/api/v1/ocr/results/{task_id}").json()
        if task["status"] in ("SUCCESS", "FAILURE"):
            return task
        assert time.monotonic() < deadline, task
        time.sleep(0.2)


def test_a_file_that_takes_all_memory_costs_its_own_document_only(model_dir: Path, tmp_path: Path):
    env = {
        "QUIRE_MODEL_DIR": str(model_dir),
        "QUIRE_MEMORY_LIMIT": str(LIMIT_MIB),
        "QUIRE_PAGE_ATTEMPTS": "1",
        "QUIRE_LEASE_SECONDS": "4",
        "QUIRE_RECONCILE_SECONDS": "1",
    }
    with Stack(tmp_path / "stack", free_port(), env=env) as stack:
        bomb = submit(stack, hostile_pdfs()[BOMB]())
        harmless = submit(stack, write_scanned_pdf(tmp_path / "scan.pdf", 1).read_bytes())
        assert ended(stack, harmless)["status"] == "SUCCESS"
        failed = ended(stack, bomb)
        assert failed["status"] == "FAILURE"
        assert isinstance(failed["result"], dict)
        assert failed["result"]["code"] in ("worker_lost", "out_of_memory", "corrupt")
        assert all(process.exit_status is None for process in stack.processes)


@pytest.mark.parametrize(
    ("settings", "processes", "mib"),
    [
        ({"quire_memory_limit": 5000}, 2, 5000),
        ({"quire_memory_limit": 0}, 2, None),
        ({"paddleocr_use_gpu": True}, 1, None),
    ],
)
def test_the_limit_is_what_the_settings_say(settings, processes, mib):
    limit = limit_bytes(Settings(**settings), processes)
    assert limit == (mib and mib * 1024 * 1024)


def test_without_a_setting_a_process_gets_its_share_and_never_too_little():
    alone, many = (limit_bytes(Settings(), processes) for processes in (1, 1000))
    assert alone is not None
    assert many == 6 * 1024**3 <= alone
