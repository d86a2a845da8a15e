"""Whose turn it is: which of the waiting documents gets the next ticket.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996), one unit a document: a document's
turn is one after its owner's last waiting one, but never before the turn that is being served. So owners take turns,
whatever number each has waiting; the documents of one come in their order; and time without work is not saved up.
Documents that are submitted at the same moment may get the same turn, which costs nobody a lock.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from quire.database.tables import WAITING

# The turn of an owner's new document, for its INSERT: of the owner `of_owner` and the priority `of_priority`.
NEXT_TURN: Final = f"""
    greatest(
        (SELECT min(turn) FROM documents WHERE {WAITING} AND priority = :of_priority),
        (SELECT max(turn) + 1 FROM documents WHERE {WAITING} AND owner = :of_owner AND priority = :of_priority),
        0)
"""

_TAKE = text(f"""
    UPDATE documents d SET dispatched_at = now(), touched_at = now()
    FROM (SELECT id FROM documents WHERE {WAITING} ORDER BY priority, turn, created_at LIMIT :most
          FOR UPDATE SKIP LOCKED) next
    WHERE d.id = next.id
    RETURNING d.id, d.priority, d.turn, d.created_at
""")


class Ticket(NamedTuple):
    """What a message in the broker says: this document has pages to do. `priority` as in `quire.contracts`."""

    document_id: UUID
    priority: int


def take_waiting(session: Session, *, most: int) -> list[Ticket]:
    """Tickets for the documents whose turn is next, at most `most`. They wait no longer: the caller issues these."""
    if most <= 0:
        return []
    rows = session.execute(_TAKE, {"most": most}).all()
    ordered = sorted(rows, key=lambda row: (row.priority, row.turn, row.created_at))
    return [Ticket(row.id, row.priority) for row in ordered]
