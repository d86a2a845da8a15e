"""One look at a document: its row, and which of its pages are finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from quire.database import documents
from quire.database.engine import transaction
from quire.database.tables import Page
from quire_api import page_sets
from quire_api.document_view import document_view_now
from quire_api.progress import Snapshot

# One row, however many pages there are.
_FINISHED: Final = text("""
    SELECT range_agg(int4range(number, number + 1)) FILTER (WHERE status = 'done') AS done,
           range_agg(int4range(number, number + 1)) FILTER (WHERE status = 'failed') AS failed
    FROM pages WHERE document_id = :document_id
""")


def look_at(document_id: UUID, known: Snapshot | None) -> Snapshot:
    """A document as it is now. `known` is how it was before: errors of pages that are in it are not read again.

    Raises:
        DatabaseUnreachable: Postgres did not answer.
    """
    with transaction() as session:
        # Before its pages: what it counts is among them then.
        document = documents.get(session, document_id)
        if document is None:
            return replace(known or Snapshot("deleted"), status="deleted")
        finished = session.execute(_FINISHED, {"document_id": document_id}).one()
        done, failed = _as_set(finished.done), _as_set(finished.failed)
        return Snapshot(
            status=document.status,
            done=done,
            failed=failed,
            document=document_view_now(session, document).model_dump_json(),
            errors=_errors(session, document_id, failed, known),
        )


def _as_set(multirange: Any) -> int:
    bits = 0
    for found in multirange or ():
        bits |= page_sets.span(found.lower, found.upper - 1)
    return bits


def _errors(
    session: Session, document_id: UUID, failed: int, known: Snapshot | None
) -> Mapping[int, Mapping[str, Any]]:
    """The errors of all failed pages; those that failed since are read."""
    before, errors = (known.failed, known.errors) if known else (0, {})
    if failed == before:
        return errors
    kept = {number: error for number, error in errors.items() if failed >> number & 1}
    rows = session.execute(
        select(Page.number, Page.error_code, Page.error_message).where(
            Page.document_id == document_id, Page.number.in_(list(page_sets.numbers(failed & ~before)))
        )
    )
    return kept | {number: {"code": code, "message": message} for number, code, message in rows}
