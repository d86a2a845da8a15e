"""`quire up`: start everything, send documents through it, show what came back, keep serving."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
from rich.markup import escape

from quire.cli.exit_codes import UsageError
from quire.cli.output import console
from quire.cli.progress import CountBar
from quire.cli.samples import make_samples
from quire.contracts import Detection
from quire.embedded.stack import Stack
from quire.errors import QuireError
from quire.exports.overlay import save_overlay
from quire.pages import PageLimits, open_source
from quire.settings import Settings

_POLL_SECONDS: Final = 0.1
_LINES_SHOWN: Final = 12
# An overlay of every page of a book would take longer than reading it.
_OVERLAYS: Final = 3


def run(*, file: Path | None, port: int, once: bool, home: Path) -> int:
    """Do what `quire up` says. The exit status: 1 if a document failed or a process ended by itself."""
    if file is not None and not file.is_file():
        raise UsageError(f"There is no file {file}.")
    started = time.perf_counter()
    # Ctrl-C and a supervisor's SIGTERM end the same way: drain, then stop. Both are set here because a shell that
    # starts this in the background has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console.print("Starting Redis, Postgres, the API and the workers …")
    with Stack(home, port) as stack:
        console.print(f"Ready after {time.perf_counter() - started:.1f} s.")
        try:
            samples = [file] if file is not None else list(make_samples(stack.home / "demo"))
            failed = [path for path in samples if not _show(stack, path)]
            if not once:
                _serve(stack)
            return 1 if failed else 0
        except KeyboardInterrupt:
            console.print("\nDraining the workers and stopping …")
            return 0


def _short(path: Path) -> str:
    """A path as a person would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(stack: Stack, path: Path) -> bool:
    """Send one document through the API and print what was read; False if it failed."""
    console.print(f"\n[bold]{escape(_short(path))}[/]")
    with httpx.Client(base_url=stack.api_url, timeout=60) as api:
        with path.open("rb") as content:
            answer = api.post("/api/v1/ocr/process", files={"file": (path.name, content)})
        if answer.status_code != httpx.codes.ACCEPTED:
            console.print(f"[red]refused: {escape(answer.json()['detail'])}[/]")
            return False
        task_id = answer.json()["task_id"]
        task = _watch(stack, api, task_id)
    result = task["result"]
    if task["status"] == "FAILURE":
        console.print(f"[red]{escape(result['code'])}: {escape(result['error'])}[/]")
        return False
    detections = [Detection.model_validate(found) for found in result["detections"]]
    for found in detections[:_LINES_SHOWN]:
        console.print(f"  p{found.page_number}  {found.confidence:.2f}  {escape(found.text)}")
    if len(detections) > _LINES_SHOWN:
        console.print(f"  … and {len(detections) - _LINES_SHOWN} more lines")
    for error in result.get("page_errors", ()):
        console.print(f"  [yellow]p{error['page_number']}  {error['code']}: {escape(error['message'])}[/]")
    for overlay in _save_overlays(stack, path, detections):
        console.print(f"  boxes over the page: {escape(_short(overlay))}")
    console.print(f"  result as JSON:      {stack.api_url}/api/v1/ocr/results/{task_id}")
    return True


def _watch(stack: Stack, api: httpx.Client, task_id: str) -> dict[str, Any]:
    """Poll until the task ends, with a bar of pages."""
    with CountBar("pages") as bar:
        while True:
            task: dict[str, Any] = api.get(f"/api/v1/ocr/results/{task_id}").json()
            bar.show(task["pages_done"] + task["pages_failed"], task.get("pages_total"))
            if task["status"] in ("SUCCESS", "FAILURE"):
                return task
            _refuse_ended(stack)
            time.sleep(_POLL_SECONDS)


def _save_overlays(stack: Stack, path: Path, detections: list[Detection]) -> list[Path]:
    """Draw the boxes over the first pages, rendered as the worker rendered them."""
    settings: Settings = stack.settings
    numbers = sorted({found.page_number for found in detections})[:_OVERLAYS]
    saved = []
    with open_source(path, PageLimits.from_settings(settings)) as source:
        for number in numbers:
            target = stack.home / "demo" / f"{path.stem}-page-{number}.png"
            page = source.image(number, settings.paddleocr_pdf_dpi)
            save_overlay(page, [found for found in detections if found.page_number == number], target)
            saved.append(target)
    return saved


def _serve(stack: Stack) -> None:
    """Keep everything running until Ctrl-C."""
    console.print(
        f"\nOpen {stack.api_url} to see documents; {stack.api_url}/docs describes the API. "
        f"Logs: {_short(stack.home / 'logs')}. Ctrl-C stops."
    )
    while True:
        _refuse_ended(stack)
        time.sleep(0.5)


def _refuse_ended(stack: Stack) -> None:
    ended = stack.ended()
    if ended is not None:
        raise QuireError(f"{ended.name} ended by itself ({ended.log}):\n{ended.last_lines()}")
