"""The whole system with an engine that takes as long for a page as it is told, and documents for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pikepdf
from sqlalchemy import Engine, func, select

from benchmarks.receipts import ROOT
from quire.contracts import OcrOptions
from quire.database.documents import NewDocument
from quire.database.engine import connect, transaction
from quire.database.tables import Document
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from quire.storage import FolderStore
from tests.chaos.fake_engine import PAGE_MILLISECONDS
from tests.chaos.serials import cells_image
from tests.pdfs import write_picture_pdf

_BUCKET: Final = "bench"
_POLL_SECONDS: Final = 0.25


@dataclass(frozen=True)
class FakeStack:
    """A running stack, and what is needed to submit to it."""

    stack: Stack
    engine: Engine
    submit: Callable[[NewDocument], object]

    def store(self, pages: int) -> str:
        """Write a PDF of so many pages where the workers find it; its key."""
        path = self.stack.home / f"{pages}.pdf"
        with pikepdf.open(write_picture_pdf(self.stack.home / "one.pdf", [cells_image(100_000)])) as document:
            # The same page again and again: the engine is told how long to take, not what to read.
            for _ in range(pages - 1):
                document.pages.append(document.pages[0])
            document.save(path)
        with path.open("rb") as content:
            FolderStore(self.stack.home / "objects").put(_BUCKET, path.name, content)
        return path.name

    def add(self, key: str, owner: str) -> UUID:
        """Submit a document whose bytes are stored, as the API does."""
        new = NewDocument(uuid4(), _BUCKET, key, OcrOptions(), owner=owner)
        self.submit(new)
        return new.id

    def wait(self, ids: list[UUID], seconds: float) -> list[Document]:
        """The documents, once all have ended.

        Raises:
            RuntimeError: they have not after so many seconds, or a process of the stack ended.
        """
        deadline = time.monotonic() + seconds
        while self._unfinished(ids):
            if (ended := self.stack.ended()) is not None:
                raise RuntimeError(f"{ended.name} ended:\n{ended.last_lines()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Documents were not read within {seconds:g} s.")
            time.sleep(_POLL_SECONDS)
        with transaction(self.engine) as session:
            return list(session.scalars(select(Document).where(Document.id.in_(ids))))

    def _unfinished(self, ids: list[UUID]) -> int:
        unfinished = select(func.count()).where(Document.id.in_(ids), Document.finished_at.is_(None))
        with transaction(self.engine) as session:
            return int(session.scalar(unfinished) or 0)


@contextmanager
def fake_stack(home: Path, processes: int, page_milliseconds: float) -> Iterator[FakeStack]:
    """A stack whose OCR worker has so many processes. One for each run: settings are read from the environment once."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {
        "PYTHONPATH": path,
        PAGE_MILLISECONDS: str(page_milliseconds),
        "QUIRE_OCR_THREADS": "1",
        "QUIRE_BUCKETS": _BUCKET,
        # Every page is to be read, however often it comes.
        "QUIRE_REUSE_PAGES": "false",
    }
    app = "tests.chaos.fake_app.celery_app"
    with Stack(home, free_port(), ocr_processes=processes, env=env, worker_app=app) as stack:
        url = stack.settings.sqlalchemy_url
        assert url is not None
        # What `quire.jobs` reads when it is first used.
        os.environ |= {"REDIS_URL": stack.redis.url, "DATABASE_URL": stack.postgres.url}
        from quire import jobs

        engine = connect(url)
        try:
            yield FakeStack(stack, engine, partial(jobs.submit, database=engine))
        finally:
            engine.dispose()
