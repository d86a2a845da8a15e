"""A page flow on real Postgres and real files, with an engine that costs nothing."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine, select, text

from flow.page_flow import PageFlow
from ocr.engines import OcrEngine
from quire.contracts import OcrPayload
from quire.database.engine import transaction
from quire.database.tables import Document, Page
from quire.database.turns import Ticket
from quire.storage import FolderStore
from tests.engines import InstantEngine

BUCKET = "documents"


@dataclass
class Bench:
    """A page flow, and what it left behind."""

    flow: PageFlow
    database: Engine
    store: FolderStore
    engine: InstantEngine
    tickets: list[Ticket] = field(default_factory=list)

    def put(self, key: str, content: bytes) -> str:
        self.store.put(BUCKET, key, io.BytesIO(content))
        return key

    def accept(self, key: str, **options: object) -> uuid.UUID:
        return self.flow.accept(OcrPayload(key=key, bucket=BUCKET, **options), str(uuid.uuid4()))

    def with_engine(self, engine: OcrEngine) -> PageFlow:
        return replace(self.flow, ocr=lambda: engine)

    def pages(self, document_id: uuid.UUID) -> dict[int, Page]:
        with transaction(self.database) as session:
            found = session.scalars(select(Page).where(Page.document_id == document_id)).all()
        return {page.number: page for page in found}

    def document(self, document_id: uuid.UUID) -> Document:
        with transaction(self.database) as session:
            document = session.get(Document, document_id)
        assert document is not None
        return document

    def run_out_leases(self) -> None:
        with transaction(self.database) as session:
            session.execute(text("UPDATE pages SET lease_expires_at = now() - interval '1 s' WHERE status = 'leased'"))
