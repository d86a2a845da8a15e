"""`python -m benchmarks.study_aids`: is everything that is shown of a model that is often wrong in the document?

The whole system reads receipts and a long scanned PDF and makes a summary, flashcards and a quiz of each, with a local
server for the language model that replays partly wrong answers (`tests/study_answers.py`). What the API then answers is
looked at by `benchmarks.study_aids_check`, which shares no code with what made it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console

from benchmarks.arguments import positive
from benchmarks.long_pdf import write_long_pdf
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT, DataMissing, find_receipts
from benchmarks.study_aids_check import Report, check
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.llm_server import KEY, LlmServer, llm_server
from tests.study_answers import SOUND, UNSOUND, PartlyWrong

Json = dict[str, Any]

console = Console(highlight=False)
_POLL_SECONDS: Final = 0.5
_AIDS: Final[tuple[Json, ...]] = (
    {"kind": "summary", "options": {"style": "bullets"}},
    {"kind": "flashcards", "options": {"count": 30}},
    {"kind": "quiz", "options": {"count": 20}},
)
# A context so small that the long document takes several windows.
_CONTEXT: Final = {"QUIRE_LLM_CONTEXT_TOKENS": "6000", "QUIRE_LLM_OUTPUT_TOKENS": "1000"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, check, print, save. The exit status: 1 if anything is shown that should not be, 2 without documents."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    machine = machine_facts()
    model = PartlyWrong()
    try:
        files = _files(options.receipts, options.pages)
        with _system(model) as (api, server):
            begun_at = time.monotonic()
            documents = _documents(api, files)
            seconds = time.monotonic() - begun_at
            requests = len(server.asked)
    except DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    report = check(documents, UNSOUND, SOUND)
    run = _run(options, model, report, requests, seconds)
    _show(run)
    _save(options.output, {"machine": machine, **run})
    if options.documents:
        _save(options.documents, {"documents": documents, "unsound": UNSOUND, "quoted": SOUND})
    return 1 if report.faults or not report.items else 0


def _files(receipts: int, pages: int) -> dict[str, bytes]:
    """Names and contents: so many receipts, and a PDF whose pages are parts of other ones."""
    found = find_receipts(receipts + pages)
    files = {each.image.name: each.image.read_bytes() for each in found[:receipts]}
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        pdf = Path(folder) / "long.pdf"
        write_long_pdf(pdf, found[receipts:] or found, pages)
        files[pdf.name] = pdf.read_bytes()
    return files


@contextmanager
def _system(model: PartlyWrong) -> Iterator[tuple[httpx.Client, LlmServer]]:
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder, llm_server() as server:
        server.answer = model
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "QUIRE_REUSE_PAGES": "false"} | _CONTEXT
        env |= {name: os.environ[name] for name in ("QUIRE_MODEL_DIR",) if name in os.environ}
        stack = Stack(Path(folder) / "home", free_port(), env=env)
        with stack, httpx.Client(base_url=f"{stack.api_url}/api/v1", timeout=60) as api:
            yield api, server


def _documents(api: httpx.Client, files: dict[str, bytes]) -> list[Json]:
    """Every file with its pages and study aids, as the API answers them."""
    follow_ups = [json.dumps(each) for each in _AIDS]
    ids = {}
    for name, content in files.items():
        answer = api.post("/documents", files={"file": (name, content)}, data={"follow_ups": follow_ups})
        answer.raise_for_status()
        ids[name] = answer.json()["id"]
    found = []
    for name, document_id in ids.items():
        console.print(f"{name} …")
        listed = _ended(api, f"/documents/{document_id}/artifacts")
        artifacts = [_get(api, f"/documents/{document_id}/artifacts/{each['id']}") for each in listed]
        pages = [page for page in _pages(api, document_id) if page["status"] == "done"]
        found.append({"name": name, "pages": pages, "artifacts": artifacts})
    return found


def _ended(api: httpx.Client, path: str) -> list[Json]:
    while True:
        listed: list[Json] = _get(api, path)["items"]
        if all(each["status"] not in ("waiting", "queued", "running") for each in listed):
            return listed
        time.sleep(_POLL_SECONDS)


def _pages(api: httpx.Client, document_id: str) -> Iterator[Json]:
    cursor = "0"
    while cursor:
        listed = _get(api, f"/documents/{document_id}/pages?limit=50&cursor={cursor}")
        yield from listed["items"]
        cursor = listed["next_cursor"]


def _get(api: httpx.Client, path: str) -> Json:
    answer = api.get(path)
    answer.raise_for_status()
    found: Json = answer.json()
    return found


def _run(options: argparse.Namespace, model: PartlyWrong, report: Report, requests: int, seconds: float) -> Json:
    return {
        "receipts": options.receipts,
        "pages_of_long_pdf": options.pages,
        "seconds": round(seconds, 1),
        "requests": requests,
        "items_said": sum(model.said.values()),
        "said": dict(sorted(model.said.items())),
        "replies_without_an_answer": dict(sorted(model.faults.items())),
        **report.to_json(),
    }


def _show(run: Json) -> None:
    wrong = sum(count for kind, count in run["said"].items() if kind in UNSOUND)
    console.print(
        f"{sum(run['study_aids'].values())} study aids ({run['study_aids']}), {run['requests']} requests, "
        f"{sum(run['replies_without_an_answer'].values())} of them without an answer\n"
        f"{run['items_said']} items said, {wrong} of them wrong; {run['items_shown']} shown with {run['citations']} "
        f"citations and {run['boxes']} boxes\n"
        f"dropped: {run['dropped']}\n"
        f"shown, by kind: {run['kinds_shown']}\n"
        f"faults: {len(run['faults'])}"
    )
    for fault in run["faults"][:20]:
        console.print(f"[red]{fault}[/]", markup=True)


def _save(path: Path, content: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Saved to {path}", soft_wrap=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study_aids", description=__doc__)
    add = parser.add_argument
    add("--receipts", type=positive, default=20, metavar="N", help="default: 20")
    add("--pages", type=positive, default=60, metavar="N", help="of the long PDF (default: 60)")
    default = ROOT / "benchmarks" / "results" / "study_aids.json"
    add("--output", type=Path, default=default, metavar="PATH", help="JSON file")
    add("--documents", type=Path, metavar="PATH", help="save what was checked, for benchmarks.study_aids_check")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
