"""A worker without an engine: leases pages and writes receipts into them as fast as Postgres lets it.

The child's side of `benchmarks.scale.leases`; its database is that of `DATABASE_URL`.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from benchmarks.child import Answer, serve
from benchmarks.scale.receipt_pages import receipt_page
from quire.database import leases
from quire.database.engine import get_engine, statements, transaction

_LEASE_SECONDS = 45.0
_ATTEMPTS = 3


def _prepare() -> Answer:
    engine = get_engine()
    template = receipt_page(1)
    with transaction(engine):
        pass

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        documents = [UUID(document) for document in request["documents"]]
        time.sleep(max(0.0, request["start"] - time.time()))
        began, cpu = time.perf_counter(), time.process_time()
        pages, lease_seconds, write_seconds = 0, 0.0, 0.0
        while documents and time.perf_counter() - began < request["seconds"]:
            started = time.perf_counter()
            with statements(engine) as session:
                lease = leases.lease_pages(
                    session, documents[0], most=request["pages"], seconds=_LEASE_SECONDS, attempts=_ATTEMPTS
                )
            lease_seconds += time.perf_counter() - started
            if lease is None:
                documents.pop(0)
                continue
            # As the engine does, outside of any transaction.
            read = [template.model_copy(update={"page_number": number}) for number in lease.numbers]
            started = time.perf_counter()
            with transaction(engine) as session:
                progress = leases.write_pages(session, lease, read)
            write_seconds += time.perf_counter() - started
            assert progress is not None
            pages += len(read)
        return {
            "pages": pages,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "lease_seconds": lease_seconds,
            "write_seconds": write_seconds,
        }

    return answer


if __name__ == "__main__":
    serve(_prepare)
