"""`python -m benchmarks.scale.million`: a million documents wait, as many have ended; what does each step cost?"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from uuid import uuid4

import redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from benchmarks.arguments import positive
from benchmarks.child import Child
from benchmarks.scale.database import Database, fresh_database
from benchmarks.scale.plans import full_scans, recorded
from benchmarks.scale.results import add_output, machine_facts, save
from quire.contracts import OcrOptions
from quire.database import documents, retention, turns
from quire.database.engine import transaction
from quire.database.tables import WAITING, Document
from quire.database.turns import Ticket
from quire.embedded import EmbeddedRedis

console = Console(highlight=False, soft_wrap=True)

_OWNERS: Final = 1000
_CLIENTS: Final = 8
_MEMORY_AT_FEW: Final = 2000

# One owner has nine tenths of what waits, the others share the rest. Their turns are what `turns.NEXT_TURN` gives: one after
# the owner's last.
_FILL_WAITING: Final = """
    INSERT INTO documents (id, bucket, source_key, options, options_hash, filename, media_type, source_bytes,
                           source_sha256, owner, priority, turn, created_at, touched_at)
    SELECT gen_random_uuid(), 'bench', 'uploads/' || n, '{}', repeat('0', 64), 'receipt.jpg', 'image/jpeg', 100000,
           repeat('0', 64), CASE WHEN n % 10 = 0 THEN 'owner-' || (n / 10) % :owners ELSE 'greedy' END, 0,
           CASE WHEN n % 10 = 0 THEN n / 10 / :owners ELSE n - n / 10 - 1 END,
           now() - make_interval(secs => 86400.0 * (1 - n::float8 / :last)), now()
    FROM generate_series(CAST(:first AS integer), :last) n
"""
_FILL_FINISHED: Final = """
    WITH made AS (
        INSERT INTO documents (id, bucket, source_key, options, options_hash, filename, media_type, source_bytes,
                               source_sha256, owner, status, page_count, pages_total, pages_done, dispatched_at,
                               created_at, touched_at, started_at, finished_at)
        SELECT gen_random_uuid(), 'bench', 'uploads/' || n, '{}', repeat('0', 64), 'receipt.jpg', 'image/jpeg', 100000,
               repeat('0', 64), 'owner-' || n % :owners, 'completed', 1, 1, 1, moment, moment, moment, moment, moment
        FROM (SELECT n, now() - make_interval(secs => 7 * 86400.0 * (1 - n::float8 / :last)) - interval '1 hour'
                     AS moment FROM generate_series(CAST(:first AS integer), :last) n) s
        RETURNING id, finished_at
    )
    INSERT INTO pages (document_id, number, status, attempts, finished_at, text)
    SELECT id, 1, 'done', 1, finished_at, 'text' FROM made
"""
_BATCH: Final = 100_000

# How many documents go before one: its place, counted no further than anybody wants to know.
_PLACE: Final = text(f"""
    SELECT count(*) FROM (
        SELECT FROM documents WHERE {WAITING} AND (priority, turn, created_at) < (:priority, :turn, :created_at)
        ORDER BY priority, turn, created_at LIMIT :most) ahead
""")


@dataclass
class Step:
    """One step, done several times: milliseconds, and the tables that Postgres reads whole for it."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    full_scans: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Median and 99th percentile."""
        times = self.milliseconds
        return {
            "times": len(times),
            "median_milliseconds": round(median(times), 3),
            "p99_milliseconds": round(quantiles(times, n=100)[98] if len(times) > 1 else times[0], 3),
            "full_scans": self.full_scans,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill, measure, print, save. The exit status: 1 where a step reads a whole table or turns are not fair."""
    options = _parse(arguments)
    machine = machine_facts()
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as name, ExitStack() as stack:
        home = Path(name)
        broker = stack.enter_context(EmbeddedRedis(home / "redis"))
        database = stack.enter_context(fresh_database(home))
        # What `quire.jobs` and `quire.tasks` read when they are first used.
        os.environ |= {"REDIS_URL": broker.url, "DATABASE_URL": database.url}
        figures = _Bench(database, broker, home, options).run()
    _show(figures)
    save(options.output, machine, figures)
    console.print(f"Saved to {options.output}")
    wrong = [step for step, row in figures["steps"].items() if row["full_scans"] and not row.get("known")]
    for step in wrong:
        console.print(f"[red]{step}: reads all of {', '.join(figures['steps'][step]['full_scans'])}[/]")
    return 1 if wrong or not figures["fair"] else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.million", description=__doc__)
    add = parser.add_argument
    add("--documents", type=positive, default=1_000_000, metavar="N", help="that wait, and that have ended")
    add("--seconds", type=float, default=5.0, metavar="N", help="of submitting (default: %(default)s)")
    add("--times", type=positive, default=200, metavar="N", help="how often each step is done (default: %(default)s)")
    add("--clients", type=positive, default=_CLIENTS, metavar="N", help="that submit at once (default: %(default)s)")
    add_output(parser, "million")
    return parser.parse_args(arguments)


class _Bench:
    """A database, a broker and what is asked of them."""

    def __init__(self, database: Database, broker: EmbeddedRedis, home: Path, options: argparse.Namespace) -> None:
        self._database = database
        self._broker = broker
        self._home = home
        self._options = options
        self._steps: list[Step] = []

    def run(self) -> dict[str, Any]:
        # Here, since they read the environment.
        from quire.jobs import count_tickets, issue_ticket
        from quire.settings import get_settings

        count, window = self._options.documents, get_settings().quire_dispatch_window
        memory = {"empty": self._redis_bytes()}
        few = min(_MEMORY_AT_FEW, count)
        self._fill(_FILL_WAITING, 1, few)
        self._issue(self._take(window), issue_ticket)
        memory["few_waiting"] = self._redis_bytes()
        console.print(f"Filling: {count:,} waiting and {count:,} finished documents …")
        started = time.perf_counter()
        # Those that have ended come first, as they do in life.
        self._fill(_FILL_FINISHED, 1, count)
        self._fill(_FILL_WAITING, few + 1, count)
        # As autovacuum would.
        self._database.run_alone("VACUUM ANALYZE documents, pages")
        filled = time.perf_counter() - started
        # Tickets that workers took and finished: the window has room, and is filled again.
        self._drain(window // 2)
        self._issue(self._take(window - count_tickets()), issue_ticket)
        memory["all_waiting"] = self._redis_bytes()
        fair = self._is_fair()
        self._measure_steps()
        enqueue = {str(clients): self._enqueue(clients) for clients in sorted({1, self._options.clients})}
        self._measure_reconciling(count_tickets, issue_ticket)
        self._measure_held_back()
        return {
            "documents": count,
            "fill_seconds": round(filled, 1),
            "dispatch_window": window,
            "tickets_in_redis": count_tickets(),
            "redis_bytes": memory | {"waiting_few": few, "waiting_all": count},
            "table_bytes": self._table_bytes(),
            "fair": fair,
            "enqueue_documents_per_second": enqueue,
            "steps": {step.name: step.to_json() for step in self._steps},
        }

    def _fill(self, statement: str, first: int, last: int) -> None:
        for start in range(first, last + 1, _BATCH):
            end = min(start + _BATCH - 1, last)
            with self._database.engine.begin() as connection:
                connection.execute(text(statement), {"first": start, "last": end, "owners": _OWNERS})

    def _take(self, most: int) -> list[Ticket]:
        with transaction(self._database.engine) as session:
            return turns.take_waiting(session, most=most)

    @staticmethod
    def _issue(tickets: Sequence[Ticket], issue: Callable[[Ticket], None]) -> None:
        for ticket in tickets:
            issue(ticket)

    def _drain(self, count: int) -> None:
        """Take messages off the queue, as workers do."""
        with redis.Redis.from_url(self._broker.url) as client:
            client.rpop("ocr", count)

    def _redis_bytes(self) -> int:
        with redis.Redis.from_url(self._broker.url) as client:
            return int(client.info("memory")["used_memory"])

    def _table_bytes(self) -> dict[str, int]:
        query = "SELECT pg_table_size(CAST(:name AS regclass)), pg_indexes_size(CAST(:name AS regclass))"
        sizes: dict[str, int] = {}
        with self._database.engine.connect() as connection:
            for name in ("documents", "pages"):
                sizes[name], sizes[f"{name}_indexes"] = connection.execute(text(query), {"name": name}).one()
        return sizes

    def _is_fair(self) -> bool:
        """Whether the next documents come from all owners in turn, though one has nine tenths of what waits."""
        with transaction(self._database.engine) as session:
            taken = turns.take_waiting(session, most=_OWNERS)
            ids = [ticket.document_id for ticket in taken]
            owners = Counter(session.scalars(select(Document.owner).where(Document.id.in_(ids))))
            session.rollback()
        return max(owners.values()) <= 2

    def _step(self, name: str, act: Callable[[Session], object], *, times: int | None = None) -> None:
        step, engine = Step(name), self._database.engine
        with recorded(engine) as statements, transaction(engine) as session:
            act(session)
            session.rollback()
        step.full_scans = full_scans(engine, statements)
        for _ in range(times or self._options.times):
            started = time.perf_counter()
            with transaction(engine) as session:
                act(session)
            step.milliseconds.append((time.perf_counter() - started) * 1000)
        self._steps.append(step)
        console.print(f"{name}: {median(step.milliseconds):.2f} ms")

    def _measure_steps(self) -> None:
        some = self._some_documents()
        self._step("accept a document", lambda session: documents.create(session, _new_document()))
        self._step("take the next two turns", lambda session: turns.take_waiting(session, most=2))
        self._step("status of a document", lambda session: documents.get(session, next(some).id))
        self._step("its place, up to 1,000", lambda session: session.scalar(_PLACE, _place(next(some), 1000)))
        everything = 10 * self._options.documents
        self._step("its exact place", lambda session: session.scalar(_PLACE, _place(next(some), everything)), times=5)
        newest = select(Document).order_by(Document.created_at.desc(), Document.id.desc()).limit(50)
        self._step("list the newest 50", lambda session: session.scalars(newest).all())
        mine = newest.where(Document.owner == "owner-7")
        self._step("list an owner's newest 50", lambda session: session.scalars(mine).all())
        failed = newest.where(Document.status == "queued")
        self._step("list the newest 50 of a status", lambda session: session.scalars(failed).all())
        self._step("is anybody waiting", documents.are_queued)
        self._step("count waiting, up to 1,000", documents.count_waiting)
        self._step("find what has expired", lambda session: retention.take_expired(session, days=7, most=100), times=20)

    def _some_documents(self) -> Any:
        """Waiting documents from everywhere in the queue, without end."""
        query = f"SELECT id, priority, turn, created_at FROM documents WHERE {WAITING} ORDER BY id LIMIT 5000"
        with self._database.engine.connect() as connection:
            rows = connection.exec_driver_sql(query).all()
        while True:
            yield from rows

    def _enqueue(self, clients: int) -> float:
        """Documents a second that are accepted by so many processes while a window of tickets is in Redis."""
        environment = {"DATABASE_URL": self._database.url, "REDIS_URL": self._broker.url}
        with ExitStack() as stack:
            children = [
                stack.enter_context(
                    Child("benchmarks.scale.submit_client", log=self._home / f"submit-{n}.log", environment=environment)
                )
                for n in range(clients)
            ]

            def ask(child: Child, seconds: float, start: float) -> dict[str, Any]:
                request = {"seconds": seconds, "start": start, "owners": _OWNERS}
                return dict(child.ask(request))

            with ThreadPoolExecutor(clients) as threads:
                # The first one connects.
                list(threads.map(lambda child: ask(child, 0.2, 0.0), children))
                start = time.time() + 0.2
                answers = list(threads.map(lambda child: ask(child, self._options.seconds, start), children))
        rate = sum(answer["documents"] for answer in answers) / max(answer["seconds"] for answer in answers)
        console.print(f"{clients} clients submit {rate:,.0f} documents/s")
        return round(float(rate), 1)

    def _measure_reconciling(self, count_tickets: Callable[[], int], issue_ticket: Callable[[Ticket], None]) -> None:
        from flow.reconcile import reconcile_once
        from quire.settings import get_settings

        engine, settings = self._database.engine, get_settings()
        some = min(settings.quire_dispatch_window // 2, self._options.documents // 200)
        for name, room in (("reconcile, the window full", 0), (f"reconcile, {some} tickets to issue", some)):
            step = Step(name)
            for number in range(5):
                self._drain(room)
                with recorded(engine) as statements:
                    started = time.perf_counter()
                    reconcile_once(settings, engine, count_tickets, issue_ticket)
                    step.milliseconds.append((time.perf_counter() - started) * 1000)
                if number == 0:
                    step.full_scans = full_scans(engine, statements)
            self._steps.append(step)
            console.print(f"{name}: {median(step.milliseconds):.1f} ms")

    def _measure_held_back(self) -> None:
        """Turns while a transaction stays open, which keeps what was taken before in the index."""
        with self._database.engine.connect() as idle:
            idle.exec_driver_sql("SELECT count(*) FROM alembic_version").all()
            idle.exec_driver_sql("SELECT pg_current_xact_id()").all()
            taken = min(20_000, self._options.documents // 10)
            for _ in range(max(1, taken // 1000)):
                self._take(min(1000, taken))
            name = f"take the next two turns, {taken:,} taken since a transaction that is still open"
            self._step(name, lambda session: turns.take_waiting(session, most=2))
        self._step("the same after it has ended", lambda session: turns.take_waiting(session, most=2))


def _new_document() -> documents.NewDocument:
    return documents.NewDocument(uuid4(), "bench", "uploads/x", OcrOptions(), owner="owner-1")


def _place(document: Any, most: int) -> dict[str, Any]:
    return {
        "priority": document.priority,
        "turn": document.turn,
        "created_at": document.created_at,
        "most": most,
    }


def _show(figures: dict[str, Any]) -> None:
    table = Table(title=f"{figures['documents']:,} documents wait, as many have ended", title_justify="left")
    for column in ("", "median ms", "p99 ms", "reads all of"):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in figures["steps"].items():
        scans = ", ".join(row["full_scans"])
        table.add_row(name, f"{row['median_milliseconds']:.2f}", f"{row['p99_milliseconds']:.2f}", scans)
    console.print(table)
    for clients, rate in figures["enqueue_documents_per_second"].items():
        console.print(f"Accepted by {clients} clients: {rate:,.0f} documents/s")
    memory = figures["redis_bytes"]
    console.print(
        f"Redis with {figures['tickets_in_redis']:,} tickets: {memory['few_waiting']:,} bytes at "
        f"{memory['waiting_few']:,} waiting, {memory['all_waiting']:,} at {memory['waiting_all']:,} "
        f"(empty: {memory['empty']:,}). Owners take turns: {'yes' if figures['fair'] else 'no'}."
    )


if __name__ == "__main__":
    sys.exit(main())
