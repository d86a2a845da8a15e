"""Finds work that nobody is coming for: Redis may lose any message, a worker may die at any moment."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, text

from quire.contracts import ReconcileResult
from quire.database import documents, leases, turns
from quire.database.engine import transaction
from quire.database.turns import Ticket
from quire.settings import Settings

# Any constant will do, as long as nothing else uses it.
_ADVISORY_LOCK = 0x51756973


def reconcile_once(
    settings: Settings, database: Engine, count_tickets: Callable[[], int], issue_ticket: Callable[[Ticket], None]
) -> ReconcileResult:
    """Fail pages whose attempts are used up, and issue tickets for documents that lost theirs, then for waiting ones.

    One reconciler runs at a time; another one returns at once. `count_tickets` counts those that wait in the broker: no
    more than fill `QUIRE_DISPATCH_WINDOW` are issued, because documents behind a long queue look abandoned as well.
    """
    room = settings.quire_dispatch_window
    pages_failed = 0
    with transaction(database) as session:
        if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}):
            return ReconcileResult()
        for document_id in documents.with_exhausted_pages(session, attempts=settings.quire_page_attempts, most=room):
            before = leases.count_open_pages(session, document_id, attempts=settings.quire_page_attempts)
            leases.give_up_pages(session, document_id, attempts=settings.quire_page_attempts)
            after = leases.count_open_pages(session, document_id, attempts=settings.quire_page_attempts)
            pages_failed += before[1] - after[1]
        room -= count_tickets()
        tickets = documents.take_stale(session, seconds=2 * settings.quire_reconcile_seconds, most=max(0, room))
        tickets += turns.take_waiting(session, most=room - len(tickets))
    # After the commit: a worker that is faster than it would find the row locked.
    for ticket in tickets:
        issue_ticket(ticket)
    return ReconcileResult(pages_failed=pages_failed, tickets_issued=len(tickets))
