"""Documents on real Postgres and real files, an endpoint that reads them, and one clock for all of it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from flow.page_flow import PageFlow
from flow.reconcile import reconcile_once
from flow.whole_document import WholeDocument
from quire import jobs, media_types, tasks
from quire.burst.model import Work
from quire.burst.runpod_endpoint import RunpodEndpoint
from quire.burst.serverless import Report, ServerlessBurst
from quire.contracts import OcrOptions, OcrPayload
from quire.database import documents
from quire.database.engine import transaction
from quire.database.tables import Document, Page, RemoteJob
from quire.database.turns import Ticket
from quire.errors import DocumentNotFound, QuireError
from quire.page_ranges import select_pages
from quire.settings import Settings
from quire.storage import FolderStore
from tests.burst.fake_endpoint import KEY, FakeEndpoint, serving
from tests.engines import InstantEngine
from tests.pdfs import words_of, write_text_pdf

BUCKET = "documents"


@dataclass
class ServerlessBench:
    """The controller's side. `rate` is what local workers are said to read, in pages a second."""

    database: Engine
    store: FolderStore
    settings: Settings
    endpoint: FakeEndpoint
    burst: ServerlessBurst
    folder: Path
    rate: float = 0.0
    tickets: list[Ticket] = field(default_factory=list)

    def tick(self) -> Report:
        return self.burst.tick(self.endpoint.now)

    def submit(self, pages_of_file: int, *, waits: bool = False, key: str | None = None, **options: Any) -> uuid.UUID:
        """A document of pages that say which they are; it has a ticket already, unless it `waits`."""
        if key is None:
            key = f"{pages_of_file}.pdf"
            path = self.folder / key
            if not path.exists():
                write_text_pdf(path, pages_of_file)
                self.store.put(BUCKET, key, io.BytesIO(path.read_bytes()))
        page_number = options.pop("page_number", None)
        new = documents.NewDocument(uuid.uuid4(), BUCKET, key, OcrOptions(**options), page_number=page_number)
        with transaction(self.database) as session:
            documents.create(session, new, has_ticket=not waits)
        return new.id

    def opened(self, pages_of_file: int, **options: Any) -> uuid.UUID:
        """A document whose pages have rows, and of which none has been read."""
        document_id = self.submit(pages_of_file, **options)
        numbers = select_pages(options.get("pages"), pages_of_file)
        with transaction(self.database) as session:
            documents.begin_plan(session, document_id, seconds=60)
            documents.plan(session, document_id, documents.Plan(pages_of_file, numbers, media_types.PDF, None, None))
        return document_id

    def flow(self, **settings: Any) -> PageFlow:
        """What a worker with the database does, here or at the endpoint."""
        mine = self.settings.model_copy(update=settings)
        engine = InstantEngine()
        return PageFlow(
            mine, self.database, self.store, lambda: engine, self.tickets.append, lambda: True, lambda: False
        )

    def work_here(self, most: int = 1) -> None:
        """Let a local worker take up to so many tickets, and the reconciler issue some."""
        reconcile_once(self.settings, self.database, lambda: len(self.tickets), self.tickets.append)
        for _ in range(min(most, len(self.tickets))):
            ticket = self.tickets.pop(0)
            # It may have been deleted meanwhile.
            with suppress(DocumentNotFound):
                self.flow().work(ticket.document_id)

    def cancel(self, document_id: uuid.UUID) -> None:
        jobs.cancel(document_id, self.database)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the endpoint and for every lease."""
        self.endpoint.advance(seconds)
        back = f"- interval '{seconds} s'"
        with transaction(self.database) as session:
            # Documents before their pages is the wrong way round, which nobody minds here.
            session.execute(
                text(f"UPDATE documents SET touched_at = touched_at {back}, plan_expires_at = plan_expires_at {back}")
            )
            session.execute(text(f"UPDATE pages SET lease_expires_at = lease_expires_at {back}"))

    def run_out_leases(self) -> None:
        """As if each lease had just been lost."""
        with transaction(self.database) as session:
            session.execute(text("UPDATE pages SET lease_expires_at = now() - interval '1 s' WHERE status = 'leased'"))
            session.execute(text("UPDATE documents SET plan_expires_at = now() - interval '1 s'"))

    def document(self, document_id: uuid.UUID) -> Document:
        with transaction(self.database) as session:
            document = session.get(Document, document_id)
        assert document is not None
        return document

    def pages(self, document_id: uuid.UUID) -> dict[int, Page]:
        with transaction(self.database) as session:
            found = session.scalars(select(Page).where(Page.document_id == document_id)).all()
        return {page.number: page for page in found}

    def rows(self, *states: str) -> list[RemoteJob]:
        """Rows of remote jobs, the oldest first; of these states, or all."""
        with transaction(self.database) as session:
            found = session.scalars(select(RemoteJob).order_by(RemoteJob.created_at, RemoteJob.id)).all()
        return [job for job in found if not states or job.state in states]

    def require_read(self, document_id: uuid.UUID) -> None:
        """Every page of a document is done, once, and says what it says in the file."""
        document = self.document(document_id)
        pages = self.pages(document_id)
        assert document.status == "completed", (document.status, document.error_code)
        assert document.pages_done == document.pages_total == len(pages)
        for number, page in pages.items():
            assert page.status == "done"
            assert page.text == words_of(number)

    def observe(self, session: Session) -> Work:
        waiting = session.scalar(
            text("""
                SELECT (SELECT count(*) FROM documents WHERE status = 'queued') + (
                    SELECT count(*) FROM pages p JOIN documents d ON d.id = p.document_id WHERE d.status = 'running'
                    AND (p.status = 'pending' OR (p.status = 'leased' AND p.lease_expires_at < now())))
            """)
        )
        return Work(int(waiting or 0), 0, 3600.0 if waiting else 0.0, 0.2, self.rate)


def read_at_endpoint(bench: ServerlessBench, said: dict[str, Any], job_id: str) -> dict[str, Any]:
    """What the handler does: the function of the task that is named, with its result or its error as JSON."""
    declared = next(task for task in tasks.ALL if task.name == said["task"])
    try:
        payload = declared.parse((), said["payload"])
        assert isinstance(payload, OcrPayload)
        if bench.settings.quire_burst_remote_database:
            flow = bench.flow()
            result = flow.work(flow.accept(payload, job_id))
        else:
            engine = InstantEngine()
            result = WholeDocument(bench.settings, bench.store, lambda: engine).read(payload, job_id)
    except QuireError as error:
        return {"status": "error", "error": f"{error.code}: {error.message}"}
    return {"status": "ok", "result": declared.dump_result(result)}


@contextmanager
def opened_bench(database: Engine, folder: Path, **settings: Any) -> Iterator[ServerlessBench]:
    """A bench with these settings besides its own."""
    store = FolderStore(folder / "objects")
    made = Settings(
        **{
            "quire_object_dir": folder / "objects",
            "quire_runtime_dir": folder / "run",
            "quire_buckets": BUCKET,
            "quire_lease_pages": 4,
            "quire_reuse_pages": False,
            "quire_burst_cold_start_seconds": 30,
            "quire_burst_job_pages": 10,
            "quire_burst_job_seconds": 60,
            "quire_burst_queue_seconds": 60,
            "quire_burst_max_per_hour": 1000,
            "quire_burst_max_per_day": 1000,
            **settings,
        }
    )

    def observe(session: Session) -> Work:
        return bench.observe(session)

    endpoint = FakeEndpoint(lambda said, job_id: read_at_endpoint(bench, said, job_id))
    with serving(endpoint), RunpodEndpoint(endpoint.url, SecretStr(KEY), pause=lambda _: None) as client:
        burst = ServerlessBurst(made, database, client, store=store, observe=observe)
        bench = ServerlessBench(database, store, made, endpoint, burst, folder)
        yield bench
