"""`python -m benchmarks.scale.study_aids`: summaries of very long documents, and what reading others loses by them.

The whole system runs with an engine that sleeps for each page, as one on a GPU does for a worker's processor, and a
local server for the language model that answers after a while. Documents that have been read lie in Postgres. Reported
are the memory of the default queue's worker while it makes the summaries, how many requests were under way at once, and
the pages a second of the ocr queue while a summary is made and while none is, in turns.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import psutil
from rich.console import Console
from sqlalchemy import Engine

from benchmarks.arguments import positive
from benchmarks.scale.fake_stack import FakeStack, fake_stack
from benchmarks.scale.results import add_output, machine_facts, save
from quire.contracts import OcrOptions
from quire.database import documents, leases
from quire.database.engine import transaction
from tests.llm_server import KEY, LlmServer, llm_server
from tests.study_documents import book

Json = dict[str, Any]

console = Console(highlight=False)
_MIB: Final = 1024 * 1024
_LINES: Final = 24
_PAGES_AT_ONCE: Final = 50
_POLL_SECONDS: Final = 0.25
_LONGEST_SECONDS: Final = 600
# What is asked for in each round: other options are another study aid.
_OPTIONS: Final = tuple(
    {"style": style, "language": language}
    for language in ("English", "German")
    for style in ("bullets", "short", "sections")
)


@dataclass
class Memory:
    """Resident sizes of a process and its children, in MiB, every `_POLL_SECONDS`."""

    process: psutil.Process
    sizes: list[float] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at them for as long as the `with` block lasts."""
        over = threading.Event()
        self.sizes = [self._size()]

        def watch() -> None:
            while not over.wait(_POLL_SECONDS):
                self.sizes.append(self._size())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def summary(self) -> Json:
        """At the beginning, in each quarter at most, and at most of all."""
        quarter = max(1, len(self.sizes) // 4)
        quarters = [round(max(self.sizes[start : start + quarter]), 1) for start in range(0, 4 * quarter, quarter)]
        return {"first": round(self.sizes[0], 1), "quarters": quarters, "most": round(max(self.sizes), 1)}

    def _size(self) -> float:
        return float(sum(each.memory_info().rss for each in [self.process, *self.process.children()])) / _MIB


@dataclass
class Bench:
    """A running system, the language model's server, and the worker that asks it."""

    running: FakeStack
    server: LlmServer
    memory: Memory
    api: httpx.Client

    def summarise(self, document_id: UUID, options: Json) -> str:
        """Ask for a summary, and wait until it is under way."""
        before = len(self.server.asked)
        answer = self.api.post(f"/documents/{document_id}/artifacts", json={"kind": "summary", "options": options})
        answer.raise_for_status()
        _wait(lambda: len(self.server.asked) > before)
        return str(answer.json()["id"])

    def finish(self, document_id: UUID, artifact_id: str) -> Json:
        """The summary, once it is made."""
        found: Json = {}

        def ended() -> bool:
            found.update(self.api.get(f"/documents/{document_id}/artifacts/{artifact_id}").json())
            return found["status"] not in ("queued", "running")

        _wait(ended)
        if found["status"] != "completed":
            raise RuntimeError(f"A summary was not made: {found['error']}")
        return found

    def read(self, key: str, pages: int) -> float:
        """Pages a second at which the ocr queue reads a document by itself."""
        (document,) = self.running.wait([self.running.add(key, "reader")], _LONGEST_SECONDS)
        assert document.finished_at is not None
        return pages / (document.finished_at - document.created_at).total_seconds()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    machine = machine_facts()
    os.environ |= {"OPENAI_API_KEY": KEY, "QUIRE_LLM_CONCURRENCY": str(options.concurrency)}
    with llm_server() as server, tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        server.before = lambda _: time.sleep(options.answer_seconds)
        os.environ["OPENAI_BASE_URL"] = server.url
        with fake_stack(Path(folder) / "home", 1, options.page_milliseconds) as running:
            (worker,) = (each for each in running.stack.processes if each.name == "default-worker")
            with httpx.Client(base_url=f"{running.stack.api_url}/api/v1", timeout=60) as api:
                bench = Bench(running, server, Memory(psutil.Process(worker.pid)), api)
                run = _measure(bench, options)
    _show(run)
    save(options.output, machine, run)
    console.print(f"Saved to {options.output}", soft_wrap=True)
    return 0


def _measure(bench: Bench, options: argparse.Namespace) -> Json:
    short, long = (_put(bench.running.engine, pages) for pages in (options.pages // 10, options.pages))
    key = bench.running.store(options.read_pages)
    bench.read(key, options.read_pages)
    summaries = [_summary(bench, short, options.pages // 10, {"style": "bullets"})]
    without: list[float] = []
    beside: list[float] = []
    for number in range(options.rounds):
        console.print(f"round {number + 1} of {options.rounds} …")
        without.append(bench.read(key, options.read_pages))
        reading = (key, options.read_pages, beside)
        summaries.append(_summary(bench, long, options.pages, _OPTIONS[number], reading=reading))
    return {
        "concurrency": options.concurrency,
        "requests_at_once": bench.server.most_at_once,
        "seconds_until_an_answer": options.answer_seconds,
        "summaries": summaries,
        "ocr_pages_a_second": {
            "milliseconds_a_page": options.page_milliseconds,
            "pages": options.read_pages,
            "without": [round(each, 1) for each in without],
            "beside_a_summary": [round(each, 1) for each in beside],
            "ratio_of_medians": round(median(beside) / median(without), 3),
        },
    }


def _summary(
    bench: Bench, document_id: UUID, pages: int, options: Json, reading: tuple[str, int, list[float]] | None = None
) -> Json:
    """Make a summary and look at the worker's memory; meanwhile read a document, where one is given."""
    asked, begun_at = len(bench.server.asked), time.monotonic()
    with bench.memory.watched():
        artifact_id = bench.summarise(document_id, options)
        if reading is not None:
            key, count, rates = reading
            rates.append(bench.read(key, count))
            still = bench.api.get(f"/documents/{document_id}/artifacts/{artifact_id}").json()["status"]
            if still not in ("queued", "running"):
                raise RuntimeError("The summary was made before the document beside it was read: give it more pages.")
        made = bench.finish(document_id, artifact_id)
    return {
        "pages": pages,
        "options": options,
        "seconds": round(time.monotonic() - begun_at, 1),
        "windows": made["windows_total"],
        "requests": len(bench.server.asked) - asked,
        "points": sum(len(section["points"]) for section in made["result"]["sections"]),
        "worker_mib": bench.memory.summary(),
    }


def _put(database: Engine, pages: int) -> UUID:
    """A document of so many pages that has been read."""
    console.print(f"a document of {pages:,} pages …")
    document_id = uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "bench", "none", OcrOptions()))
        plan = documents.Plan(pages, range(1, pages + 1), "application/pdf", 1, "")
        documents.plan(session, document_id, plan)
    for start in range(1, pages + 1, _PAGES_AT_ONCE):
        with transaction(database) as session:
            lease = leases.lease_pages(session, document_id, most=_PAGES_AT_ONCE, seconds=60, attempts=3)
            assert lease is not None
            assert lease.numbers[0] == start
            leases.write_pages(session, lease, book(lease.numbers[-1], _LINES, first=start))
    return document_id


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("It took too long.")
        time.sleep(_POLL_SECONDS)


def _show(run: Json) -> None:
    for each in run["summaries"]:
        memory = each["worker_mib"]
        console.print(
            f"{each['pages']:,} pages, {each['options']['style']}: {each['seconds']} s, {each['windows']} windows, "
            f"{each['requests']} requests; worker {memory['first']} MiB before, {memory['quarters']} by quarters, "
            f"{memory['most']} at most"
        )
    rates = run["ocr_pages_a_second"]
    console.print(
        f"requests at once: {run['requests_at_once']} of {run['concurrency']}\n"
        f"pages a second of the ocr queue: {rates['without']} without, {rates['beside_a_summary']} beside a summary; "
        f"ratio {rates['ratio_of_medians']}"
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.study_aids", description=__doc__)
    add = parser.add_argument
    add("--pages", type=positive, default=10_000, metavar="N", help="of the long document (default: 10000)")
    add("--rounds", type=int, choices=range(1, len(_OPTIONS) + 1), default=3, metavar="N", help="default: 3")
    add("--concurrency", type=positive, default=4, metavar="N", help="QUIRE_LLM_CONCURRENCY (default: 4)")
    add("--answer-seconds", type=float, default=0.5, metavar="S", help="of the language model (default: 0.5)")
    add("--read-pages", type=positive, default=400, metavar="N", help="read in each turn (default: 400)")
    add("--page-milliseconds", type=positive, default=25, metavar="MS", help="of the engine (default: 25)")
    add_output(parser, "study_aids_scale")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
