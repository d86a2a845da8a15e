"""`python -m benchmarks.event_streams`: many open streams of one document's progress, and how late events are."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID, uuid4

import httpx
import psutil
from rich.console import Console
from sqlalchemy import Engine

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT
from benchmarks.stream_clients import open_streams, summarise, wait_until_closed
from quire.contracts import OcrOptions, PageText
from quire.database import documents, leases, migrate
from quire.database.engine import connect, transaction
from quire.embedded import ChildProcess, EmbeddedPostgres
from quire.embedded.processes import free_port
from quire.settings import Settings

console = Console(highlight=False)

_MIB = 1024 * 1024
_PAGES_AT_ONCE = 4


@dataclass(frozen=True)
class Run:
    """One measurement. Delays are in seconds from a page's commit to its receipt by one stream."""

    streams: int
    pages: int
    seconds: float
    every_page_once: bool
    delay_median: float
    delay_p99: float
    delay_most: float
    api_rss_mib_before: float
    api_rss_mib_after: float
    api_cpu_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 1 where a stream missed a page or had one twice."""
    options = _parse(arguments)
    machine = machine_facts()
    with (
        tempfile.TemporaryDirectory(prefix="quire-bench-") as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        url = Settings(database_url=server.url).sqlalchemy_url
        assert url is not None
        database = connect(url)
        migrate.upgrade(database)
        with _api(server.url, Path(name)) as (address, api):
            run = measure(database, address, api, streams=options.streams, pages=options.pages, rate=options.rate)
        database.dispose()
    console.print(
        f"{run.streams} streams, {run.pages} pages in {run.seconds:.1f} s: "
        f"median {run.delay_median * 1000:.0f} ms, p99 {run.delay_p99 * 1000:.0f} ms, "
        f"most {run.delay_most * 1000:.0f} ms after the commit\n"
        f"API: {run.api_rss_mib_before:.0f} MiB before, {run.api_rss_mib_after:.0f} MiB after, "
        f"{run.api_cpu_seconds:.1f} s of CPU\n"
        f"every page once in every stream: {str(run.every_page_once).lower()}"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine, **asdict(run)}, indent=2) + "\n", encoding="utf-8")
    console.print(f"Saved to {options.output}", soft_wrap=True)
    return 0 if run.every_page_once else 1


def measure(database: Engine, address: str, api: psutil.Process, *, streams: int, pages: int, rate: float) -> Run:
    """Open `streams` streams of a new document of `pages` pages, of which `rate` a second are then finished.

    `address` is where the API process `api` answers, which is on the same database.
    """
    return asyncio.run(_measure(database, _plan(database, pages), address, api, streams, rate))


async def _measure(
    database: Engine, document_id: UUID, address: str, api: psutil.Process, streams: int, rate: float
) -> Run:
    before = api.memory_info().rss / _MIB
    clients = await open_streams(address, document_id, streams)
    cpu_before = sum(api.cpu_times()[:2])
    started = time.monotonic()
    committed = await asyncio.to_thread(_finish_pages, database, document_id, rate)
    await wait_until_closed(clients, 60)
    seconds = time.monotonic() - started
    received = summarise(clients, committed)
    return Run(
        streams=streams,
        pages=len(committed),
        seconds=round(seconds, 3),
        every_page_once=received.every_page_once,
        delay_median=round(median(received.delays), 4),
        delay_p99=round(quantiles(received.delays, n=100)[98], 4),
        delay_most=round(max(received.delays), 4),
        api_rss_mib_before=round(before, 1),
        api_rss_mib_after=round(api.memory_info().rss / _MIB, 1),
        api_cpu_seconds=round(sum(api.cpu_times()[:2]) - cpu_before, 2),
    )


def _plan(database: Engine, pages: int) -> UUID:
    document_id = uuid4()
    with transaction(database) as session:
        documents.create(session, documents.NewDocument(document_id, "quire", "key", OcrOptions()), has_ticket=True)
        documents.begin_plan(session, document_id, seconds=60)
        documents.plan(session, document_id, documents.Plan(pages, range(1, pages + 1), "application/pdf", 1, ""))
    return document_id


def _finish_pages(database: Engine, document_id: UUID, rate: float) -> dict[int, float]:
    """Lease and write pages as a worker with an engine of this speed does; when each was committed."""
    committed: dict[int, float] = {}
    due = time.monotonic()
    while True:
        with transaction(database) as session:
            lease = leases.lease_pages(session, document_id, most=_PAGES_AT_ONCE, seconds=60, attempts=3)
        if lease is None:
            return committed
        with transaction(database) as session:
            leases.write_pages(session, lease, [_page(number) for number in lease.numbers])
        committed |= dict.fromkeys(lease.numbers, time.time())
        due += len(lease.numbers) / rate
        time.sleep(max(0.0, due - time.monotonic()))


def _page(number: int) -> PageText:
    return PageText(
        page_number=number,
        width=1,
        height=1,
        rotation=0,
        source="ocr",
        engine="none",
        text=f"Page {number}",
        detections=(),
    )


@contextmanager
def _api(database_url: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """An API process; where it answers, and the process."""
    port = free_port()
    foreign = ("CELERY_", "S3_", "REDIS_URL", "QUIRE_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # No Redis: nothing is submitted over HTTP.
    env |= {"DATABASE_URL": database_url, "QUIRE_OBJECT_DIR": str(folder / "objects"), "QUIRE_AUTH": "off"}
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
    address = f"http://127.0.0.1:{port}"
    with ChildProcess(command, log=folder / "api.log", env=env, cwd=ROOT / "apps" / "api") as child:
        deadline = time.monotonic() + 60
        while not _answers(address):
            if child.exit_status is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The API did not start:\n{child.last_lines(20)}")
            time.sleep(0.1)
        yield address, psutil.Process(child.pid)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/openapi.json", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_streams", description=__doc__)
    add = parser.add_argument
    add("--streams", type=positive, default=500, metavar="N", help="default: 500")
    add("--pages", type=positive, default=400, metavar="N", help="default: 400")
    add("--rate", type=positive, default=40, metavar="N", help="pages finished a second (default: 40)")
    default = ROOT / "benchmarks" / "results" / "event_streams.json"
    add("--output", type=Path, default=default, metavar="PATH", help="JSON file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
