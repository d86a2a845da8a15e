"""A client that submits documents one after the other, as the API does once their bytes are stored.

The child's side of `benchmarks.scale.million`; its servers are those of `DATABASE_URL` and `REDIS_URL`.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from benchmarks.child import Answer, serve
from quire.contracts import OcrOptions
from quire.database.documents import NewDocument
from quire.jobs import submit


def _prepare() -> Answer:
    options = OcrOptions()

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(max(0.0, request["start"] - time.time()))
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < request["seconds"]:
            document_id = uuid4()
            submit(
                NewDocument(
                    id=document_id,
                    bucket="bench",
                    source_key=f"uploads/{document_id}",
                    options=options,
                    filename="receipt.jpg",
                    media_type="image/jpeg",
                    source_bytes=100_000,
                    source_sha256="0" * 64,
                    owner=f"owner-{count % request['owners']}",
                )
            )
            count += 1
        return {"documents": count, "seconds": time.perf_counter() - began}

    return answer


if __name__ == "__main__":
    serve(_prepare)
