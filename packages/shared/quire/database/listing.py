"""Documents as a list, a few at a time; and how many are before one that waits."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import URL, Select, and_, func, or_, select, text, tuple_
from sqlalchemy.orm import Session

from quire.contracts import DocumentStatus
from quire.database.tables import DISPATCHED, WAITING, Document
from quire.errors import InvalidPayload

# Positions are counted no further: who is that far back learns nothing from the number.
FURTHEST: Final = 1000

# Documents that nobody has opened and that have a ticket, no more than the dispatch window; and before one that has
# none those that wait.
_BEFORE = text(f"""
    SELECT (SELECT count(*) FROM (
        SELECT FROM documents
        WHERE ({DISPATCHED}) AND status = 'queued'
          AND (CAST(:dispatched_at AS timestamptz) IS NULL OR dispatched_at < :dispatched_at)
        LIMIT {FURTHEST}) dispatched
    ) + CASE WHEN CAST(:dispatched_at AS timestamptz) IS NULL THEN (SELECT count(*) FROM (
        SELECT FROM documents
        WHERE {WAITING} AND (priority, turn, created_at) < (:priority, :turn, :created_at)
        ORDER BY priority, turn, created_at LIMIT {FURTHEST}) waiting
    ) ELSE 0 END
""")

# The same of a row that is being inserted, for its RETURNING.
POSITION_OF_NEW: Final = f"""
    (SELECT count(*) FROM (
        SELECT FROM documents d WHERE ({DISPATCHED}) AND d.status = 'queued' LIMIT {FURTHEST}) dispatched
    ) + (SELECT count(*) FROM (
        SELECT FROM documents d
        WHERE {WAITING}
          AND (d.priority, d.turn, d.created_at) < (documents.priority, documents.turn, documents.created_at)
        ORDER BY d.priority, d.turn, d.created_at LIMIT {FURTHEST}) waiting)
"""

# What has ended lately says how fast it goes: seconds that one document took, and seconds between the ends of two.
_RECENT_SECONDS: Final = 300
_RECENT = text(f"""
    SELECT avg(extract(epoch FROM finished_at - started_at)) AS taken,
           extract(epoch FROM now() - min(finished_at)) / nullif(count(*), 0) AS apart
    FROM (SELECT started_at, finished_at FROM documents
          WHERE finished_at > now() - interval '{_RECENT_SECONDS} s' AND started_at IS NOT NULL
          ORDER BY finished_at DESC LIMIT {FURTHEST}) recent
""")
# It changes slowly, and is asked for with every document that is accepted or looked at.
_PACE_SECONDS: Final = 1.0


class _Pace(NamedTuple):
    taken: float
    apart: float


# Of each database the pace, None where nothing tells, and until when that holds (`time.monotonic()`).
_paces: Final[dict[URL, tuple[float, _Pace | None]]] = {}


@dataclass(frozen=True)
class Filters:
    """What a list is restricted to; `owner` None is everybody's, `filename` a part of it in any case."""

    owner: str | None = None
    status: DocumentStatus | None = None
    filename: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def list_documents(
    session: Session, filters: Filters, *, limit: int, cursor: str | None = None
) -> tuple[list[Document], str | None]:
    """The newest documents first, and the cursor of those that follow, or None at the end.

    Raises:
        InvalidPayload: the cursor is none that came from here.
    """
    statement = _filtered(filters).order_by(Document.created_at.desc(), Document.id.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(tuple_(Document.created_at, Document.id) < _parse_cursor(cursor))
    found = list(session.scalars(statement))
    if len(found) <= limit:
        return found, None
    return found[:limit], _make_cursor(found[limit - 1])


def position_of(session: Session, document: Document) -> int | None:
    """How many documents come before one that nobody has opened, at most about `FURTHEST`; None if it does not wait."""
    if document.status != "queued":
        return None
    parameters = {
        "dispatched_at": document.dispatched_at,
        "priority": document.priority,
        "turn": document.turn,
        "created_at": document.created_at,
    }
    return int(session.scalar(_BEFORE, parameters) or 0)


def seconds_left(session: Session, document: Document, position: int | None) -> float | None:
    """About how long a document will still take, by how fast it or others went; None where nothing tells."""
    if document.status == "queued" and position is not None:
        return _seconds_waiting(session, position)
    finished = document.pages_done + document.pages_failed
    if document.status != "running" or not finished or document.pages_total is None or document.started_at is None:
        return None
    elapsed = (session.scalar(select(func.now())) or document.touched_at) - document.started_at
    return round(elapsed.total_seconds() / finished * (document.pages_total - finished), 1)


def _seconds_waiting(session: Session, position: int) -> float | None:
    pace = _pace(session)
    if pace is None:
        return None
    # Where there was too little to do, the time between two ends is that of doing nothing.
    return round(min(pace.taken, pace.apart) * position + pace.taken, 1)


def _pace(session: Session) -> _Pace | None:
    database = session.get_bind().engine.url
    until, pace = _paces.get(database, (0.0, None))
    if time.monotonic() >= until:
        recent = session.execute(_RECENT).one()
        pace = None if recent.taken is None else _Pace(float(recent.taken), float(recent.apart))
        _paces[database] = (time.monotonic() + _PACE_SECONDS, pace)
    return pace


def _filtered(filters: Filters) -> Select[Document]:
    conditions = []
    if filters.owner is not None:
        conditions.append(Document.owner == filters.owner)
    if filters.status is not None:
        conditions.append(Document.status == filters.status)
    if filters.filename:
        wanted = filters.filename
        conditions.append(
            or_(
                Document.filename.icontains(wanted, autoescape=True),
                and_(Document.filename.is_(None), Document.source_key.icontains(wanted, autoescape=True)),
            )
        )
    if filters.created_after is not None:
        conditions.append(Document.created_at > filters.created_after)
    if filters.created_before is not None:
        conditions.append(Document.created_at < filters.created_before)
    return select(Document).where(*conditions)


def _make_cursor(last: Document) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        created_at, _, document_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        return datetime.fromisoformat(created_at), UUID(document_id)
    except (ValueError, binascii.Error):
        raise InvalidPayload("cursor: take it from next_cursor of the answer before, as it is.") from None
