"""Documents through the whole system, as a client sees it: upload, poll, fetch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from quire.embedded.stack import Stack

# A poll costs the API a few milliseconds of the cores the engine wants: seldom while much is left, often at the end.
_SECONDS_PER_WAITING = 0.1
_SHORTEST_POLL: Final = 0.1
_LONGEST_POLL: Final = 2.0
_SECONDS_PER_PAGE_LIMIT: Final = 60


@dataclass(frozen=True)
class QueueRun:
    """One pass. `wall` is seconds from the first upload to the end of the last document, `upload` those of uploading.

    `texts` has a text for each document, and `errors` says which could not be read in full.
    """

    wall: float
    upload: float
    ids: list[str]
    texts: list[str]
    errors: list[str]


def read_all(stack: Stack, files: Sequence[Path], *, pages: int = 1, **options: str) -> QueueRun:
    """Upload every file, then wait for all of them. `pages` is how many each has, `options` go with the upload.

    Raises:
        RuntimeError: a process of the stack ended, or the documents did not.
    """
    with httpx.Client(base_url=stack.api_url, timeout=60) as api:
        started = time.perf_counter()
        ids = [_upload(api, file, options) for file in files]
        uploaded = time.perf_counter()
        deadline = started + 60 + _SECONDS_PER_PAGE_LIMIT * len(files) * pages
        finished = uploaded
        # The last one first: when it has ended the others have, or end next, and were not polled meanwhile.
        for task_id in reversed(ids):
            finished = max(finished, _wait(stack, api, task_id, deadline) or finished)
        tasks = [_task(api, task_id) for task_id in ids]
    errors = [f"{file.name}: {error}" for file, task in zip(files, tasks, strict=True) for error in _errors(task)]
    return QueueRun(finished - started, uploaded - started, ids, [_text(task) for task in tasks], errors)


def _upload(api: httpx.Client, file: Path, options: dict[str, str]) -> str:
    with file.open("rb") as content:
        answer = api.post(
            "/api/v1/ocr/process", files={"file": (file.name, content)}, data={"text_layer": "auto"} | options
        )
    answer.raise_for_status()
    return str(answer.json()["task_id"])


def _task(api: httpx.Client, task_id: str) -> dict[str, Any]:
    answer = api.get(f"/api/v1/ocr/results/{task_id}")
    answer.raise_for_status()
    task: dict[str, Any] = answer.json()
    return task


def _wait(stack: Stack, api: httpx.Client, task_id: str, deadline: float) -> float | None:
    """The moment at which the task was seen to end, or None where it had ended before anyone looked."""
    waited = False
    while True:
        task = _task(api, task_id)
        if task["status"] in ("SUCCESS", "FAILURE"):
            return time.perf_counter() if waited else None
        waited = True
        ended = stack.ended()
        if ended is not None:
            raise RuntimeError(f"{ended.name} ended by itself:\n{ended.last_lines()}")
        if time.perf_counter() > deadline:
            raise RuntimeError(f"Task {task_id} did not end in time: {task}")
        waiting = task["pending_tasks"] + task.get("pages_total", 0) - task["pages_done"] - task["pages_failed"]
        time.sleep(min(max(waiting * _SECONDS_PER_WAITING, _SHORTEST_POLL), _LONGEST_POLL))


def _text(task: dict[str, Any]) -> str:
    return "\n".join(found["text"] for found in (task.get("result") or {}).get("detections") or ())


def _errors(task: dict[str, Any]) -> list[str]:
    result = task.get("result") or {}
    if task["status"] == "FAILURE":
        return [f"{result.get('code')}: {result.get('error')}"]
    return [
        f"page {error['page_number']}: {error['code']}: {error['message']}" for error in result.get("page_errors", ())
    ]
