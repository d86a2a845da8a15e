"""`python -m benchmarks.scale.leases`: pages a second that clients can lease and write in one Postgres."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.child import Child
from benchmarks.cpu_time import cpu_seconds, used_between
from benchmarks.scale.database import Database, fresh_database
from benchmarks.scale.page_storage import compare
from benchmarks.scale.results import add_output, machine_facts, save
from quire.settings import Settings

console = Console(highlight=False, soft_wrap=True)

_CLIENTS: Final = 8
_LONG_LEASE: Final = 16
# What one process could write at most: documents never run out of pages while they are measured.
_MOST_PAGES_A_SECOND: Final = 3000
_SECONDS_TO_BEGIN: Final = 0.3


@dataclass(frozen=True)
class Case:
    """Clients that lease and write. `together` of them share a document, as at most `QUIRE_DOCUMENT_PARALLELISM` do.

    `notify`: documents announce their changes, as they do. `durable`: a commit waits for the disk, as it does.
    `pages`: of a lease, where it is not the number that was asked for.
    """

    name: str
    clients: int
    together: int
    pages: int | None = None
    notify: bool = True
    durable: bool = True


@dataclass(frozen=True)
class Measured:
    """What came of a case. CPU is in milliseconds a page, latencies are mean milliseconds of a transaction.

    `postgres_share` is Postgres's part of the CPU time of Postgres and clients; `others_cores` is what other programs
    took meanwhile.
    """

    pages: int
    pages_per_second: float
    postgres_cpu: float
    client_cpu: float
    postgres_share: float
    others_cores: float
    wal_bytes_per_page: float
    lease_milliseconds: float
    write_milliseconds: float


def cases(clients: int) -> list[Case]:
    """The first ones are the system as it is on CPUs, then with the leases that a GPU's batches make worthwhile."""
    together = Settings().quire_document_parallelism
    counts = [count for count in (1, 2, 4) if count < clients]
    return [
        *(Case(f"{count} clients", count, together) for count in [*counts, clients]),
        *(Case(f"{n} clients, {_LONG_LEASE} pages each", n, together, _LONG_LEASE) for n in sorted({1, clients})),
        Case(f"{clients} clients, one document", clients, clients),
        Case(f"{clients} clients, no NOTIFY", clients, together, notify=False),
        Case(f"{clients} clients, synchronous_commit off", clients, together, durable=False),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save."""
    options = _parse(arguments)
    machine = machine_facts()
    measured: dict[str, list[Measured]] = {case.name: [] for case in cases(options.clients)}
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as name, ExitStack() as stack:
        database = stack.enter_context(fresh_database(Path(name)))
        clients = [
            stack.enter_context(
                Child(
                    "benchmarks.scale.lease_client",
                    log=Path(name) / f"client-{number}.log",
                    environment={"DATABASE_URL": database.url},
                )
            )
            for number in range(options.clients)
        ]
        postgres, storage = database.server_settings(), compare(database)
        bench = _Bench(database, clients, options.pages, options.seconds)
        bench.warm_up()
        for number in range(options.rounds):
            for case in cases(options.clients):
                measured[case.name].append(bench.measure(case))
                console.print(
                    f"Round {number + 1}: {case.name}: {measured[case.name][-1].pages_per_second:,.0f} pages/s"
                )
        figures = {
            "postgres": postgres,
            "pages_per_lease": options.pages,
            "seconds": options.seconds,
            "stored": bench.stored,
            "kept_as": storage,
            "medians": {case: medians(rounds) for case, rounds in measured.items()},
            "rounds": {case: [asdict(each) for each in rounds] for case, rounds in measured.items()},
        }
    _show(figures)
    for kind, row in figures["kept_as"].items():
        console.print(
            f"A receipt's detections and words as {kind}: {row['milliseconds']:.2f} ms, {row['bytes']:,.0f} bytes"
        )
    save(options.output, machine, figures)
    console.print(f"Saved to {options.output}")
    return 0


def medians(rounds: Sequence[Measured]) -> dict[str, float]:
    """The median of each figure, and the greatest throughput."""
    rows = [asdict(each) for each in rounds]
    found = {name: round(median(row[name] for row in rows), 3) for name in rows[0] if name != "pages"}
    return found | {"best_pages_per_second": round(max(each.pages_per_second for each in rounds), 1)}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.leases", description=__doc__)
    add = parser.add_argument
    add("--clients", type=positive, default=_CLIENTS, metavar="N", help="processes (default: %(default)s)")
    add("--seconds", type=float, default=5.0, metavar="N", help="of each case in each round (default: %(default)s)")
    add("--rounds", type=positive, default=3, metavar="N", help="default: %(default)s")
    add("--pages", type=positive, default=4, metavar="N", help="of a lease (default: %(default)s)")
    add_output(parser, "leases")
    return parser.parse_args(arguments)


class _Bench:
    """A database and its clients, which block on their standard input while they are not measured."""

    def __init__(self, database: Database, clients: Sequence[Child], pages: int, seconds: float) -> None:
        self._database = database
        self._clients = clients
        self._pages = pages
        self._seconds = seconds
        self.stored: dict[str, float] = {}

    def warm_up(self) -> None:
        """Connections, prepared statements and caches belong to no case."""
        self._run(Case("warm-up", len(self._clients), len(self._clients)), min(1.0, self._seconds))

    def measure(self, case: Case) -> Measured:
        """Run a case on documents of its own."""
        database = self._database
        if not case.notify:
            database.run("ALTER TABLE documents DISABLE TRIGGER documents_changed")
        if not case.durable:
            database.run_alone("ALTER SYSTEM SET synchronous_commit = off")
            database.run("SELECT pg_reload_conf()")
        try:
            return self._run(case, self._seconds)
        finally:
            if not case.notify:
                database.run("ALTER TABLE documents ENABLE TRIGGER documents_changed")
            if not case.durable:
                database.run_alone("ALTER SYSTEM RESET synchronous_commit")
                database.run("SELECT pg_reload_conf()")

    def _run(self, case: Case, seconds: float) -> Measured:
        groups = max(1, case.clients // case.together)
        in_lease = case.pages or self._pages
        pages = int(_MOST_PAGES_A_SECOND * seconds * case.clients / groups) + 100
        documents = [add_document(self._database, pages) for _ in range(groups)]
        # So that each case begins with whole pages of the log still to be written, as after any checkpoint.
        self._database.run_alone("CHECKPOINT")
        parts = {"postgres": self._database.pid} | {f"client-{n}": child.pid for n, child in enumerate(self._clients)}
        before, wal = cpu_seconds(parts), self._database.wal_bytes()
        start = time.time() + _SECONDS_TO_BEGIN
        with ThreadPoolExecutor(case.clients) as threads:
            answers = list(
                threads.map(
                    lambda number: self._clients[number].ask(
                        {
                            "documents": [documents[number % groups]],
                            "pages": in_lease,
                            "start": start,
                            "seconds": seconds,
                        }
                    ),
                    range(case.clients),
                )
            )
        used, wal = used_between(before, cpu_seconds(parts)), self._database.wal_bytes() - wal
        self.stored = stored_bytes(self._database)
        self._database.run("TRUNCATE documents CASCADE")
        return _measured(answers, used, wal, in_lease)


def add_document(database: Database, pages: int) -> str:
    """A running document of so many pages that nobody has leased; its id."""
    document_id = str(uuid4())
    database.run(
        "INSERT INTO documents (id, bucket, source_key, options_hash, status, page_count, pages_total, dispatched_at) "
        "VALUES (:id, 'bench', 'key', 'hash', 'running', :pages, :pages, now())",
        id=document_id,
        pages=pages,
    )
    database.run(
        "INSERT INTO pages (document_id, number) SELECT CAST(:id AS uuid), n FROM generate_series(1, :pages) n",
        id=document_id,
        pages=pages,
    )
    return document_id


def stored_bytes(database: Database) -> dict[str, float]:
    """Bytes of a page that was read: its row, and what of it is detections and words."""
    query = """
        SELECT coalesce(avg(length(text)), 0), coalesce(avg(length(detections)), 0), coalesce(avg(length(words)), 0),
               coalesce(avg(pg_column_size(pages.*)), 0)
        FROM (SELECT * FROM pages WHERE status = 'done' LIMIT 1000) pages
    """
    with database.engine.connect() as connection:
        row = connection.exec_driver_sql(query).one()
    names = ("text_characters", "detections", "words", "row")
    return {name: round(float(value), 1) for name, value in zip(names, row, strict=True)}


def _measured(answers: Sequence[dict[str, Any]], used: dict[str, float], wal: int, pages_in_lease: int) -> Measured:
    pages = sum(answer["pages"] for answer in answers)
    seconds = max(answer["seconds"] for answer in answers)
    postgres, clients = used.get("postgres", 0.0), sum(answer["cpu_seconds"] for answer in answers)

    def each(total: float, count: float) -> float:
        return round(total / max(count, 1), 3)

    return Measured(
        pages=pages,
        pages_per_second=round(pages / seconds, 1),
        postgres_cpu=each(postgres * 1000, pages),
        client_cpu=each(clients * 1000, pages),
        postgres_share=round(postgres / max(postgres + clients, 1e-9), 3),
        others_cores=round(used.get("others", 0.0) / seconds, 2),
        wal_bytes_per_page=each(wal, pages),
        lease_milliseconds=each(sum(answer["lease_seconds"] for answer in answers) * 1000, pages / pages_in_lease),
        write_milliseconds=each(sum(answer["write_seconds"] for answer in answers) * 1000, pages / pages_in_lease),
    )


def _show(figures: dict[str, Any]) -> None:
    table = Table(title="Leases of receipts, medians", title_justify="left")
    table.add_column("")
    columns = {
        "pages/s": "pages_per_second",
        "best": "best_pages_per_second",
        "ms lease": "lease_milliseconds",
        "ms write": "write_milliseconds",
        "ms CPU Postgres": "postgres_cpu",
        "ms CPU client": "client_cpu",
        "Postgres's share": "postgres_share",
        "WAL bytes/page": "wal_bytes_per_page",
        "others' cores": "others_cores",
    }
    for column in columns:
        table.add_column(column, justify="right")
    for case, row in figures["medians"].items():
        table.add_row(case, *(f"{row[key]:,.2f}" if row[key] < 100 else f"{row[key]:,.0f}" for key in columns.values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
