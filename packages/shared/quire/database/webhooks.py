"""Messages to endpoints: written in the transaction of what they tell of, sent later, each attempt by one worker.

A message that is `pending` is due at `next_attempt_at`. Whoever dispatches it puts that moment off and queues a task
that names the attempt; whoever sends it raises the attempt. A task that is lost is dispatched again when the moment
comes, a task delivered twice finds another attempt and does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Select, delete, select, text, tuple_, update
from sqlalchemy.orm import Session

from quire.database.tables import WebhookDelivery, WebhookEndpoint
from quire.errors import InvalidPayload

T = TypeVar("T", WebhookEndpoint, WebhookDelivery)

Event = Literal["document.completed", "document.failed", "artifact.ready", "artifact.failed"]
EVENTS: Final[tuple[Event, ...]] = ("document.completed", "document.failed", "artifact.ready", "artifact.failed")
# What an endpoint hears of that does not say.
USUAL_EVENTS: Final[tuple[Event, ...]] = EVENTS[:2]

# Seconds that a dispatched task may take to arrive, and a sent message to be answered, before somebody else tries.
_ARRIVAL_SECONDS: Final = 60
_SENDING_SECONDS: Final = 90
_KEPT_DAYS: Final = 30
# Of one owner: each has every document's end sent to it.
MOST_ENDPOINTS: Final = 20

# An endpoint is kept from being deleted until the commit: a message to one that is gone would fail the document's end.
_ENQUEUE = text("""
    INSERT INTO webhook_deliveries (id, endpoint_id, document_id, event, occasion, body)
    SELECT gen_random_uuid(), e.id, d.id, ended.event, d.finished_at::text,
        jsonb_build_object(
            'type', ended.event,
            'timestamp', to_char(d.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'data', jsonb_strip_nulls(jsonb_build_object(
                'document_id', d.id, 'status', d.status, 'page_count', d.page_count,
                'pages_done', d.pages_done, 'pages_failed', d.pages_failed,
                'error', CASE WHEN d.error_code IS NOT NULL THEN
                    jsonb_build_object('code', d.error_code, 'message', d.error_message) END)))
    FROM documents d
    CROSS JOIN LATERAL (SELECT CASE
        WHEN d.status IN ('completed', 'partial') THEN 'document.completed'
        WHEN d.status = 'failed' THEN 'document.failed' END AS event) ended
    JOIN webhook_endpoints e ON e.owner = d.owner AND ended.event = ANY(e.events)
    WHERE d.id = :document_id
    FOR KEY SHARE OF e
    ON CONFLICT DO NOTHING
""")

_ENQUEUE_ARTIFACT = text("""
    INSERT INTO webhook_deliveries (id, endpoint_id, document_id, event, occasion, body)
    SELECT gen_random_uuid(), e.id, d.id, ended.event, a.id || ' ' || a.finished_at,
        jsonb_build_object(
            'type', ended.event,
            'timestamp', to_char(a.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'data', jsonb_strip_nulls(jsonb_build_object(
                'document_id', d.id, 'artifact_id', a.id, 'kind', a.kind, 'status', a.status,
                'error', CASE WHEN a.error_code IS NOT NULL THEN
                    jsonb_build_object('code', a.error_code, 'message', a.error_message) END)))
    FROM artifacts a
    JOIN documents d ON d.id = a.document_id
    CROSS JOIN LATERAL (SELECT CASE a.status
        WHEN 'completed' THEN 'artifact.ready' ELSE 'artifact.failed' END AS event) ended
    JOIN webhook_endpoints e ON e.owner = d.owner AND ended.event = ANY(e.events)
    WHERE a.id = :artifact_id
    FOR KEY SHARE OF e
    ON CONFLICT DO NOTHING
""")

_DISPATCH = text("""
    WITH due AS (
        SELECT id FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_deliveries w SET next_attempt_at = now() + make_interval(secs => :seconds)
    FROM due WHERE w.id = due.id
    RETURNING w.id, w.attempts
""")

_BEGIN = text("""
    UPDATE webhook_deliveries w
    SET attempts = w.attempts + 1, next_attempt_at = now() + make_interval(secs => :seconds)
    FROM webhook_endpoints e
    WHERE w.id = :id AND w.attempts = :attempt AND w.status = 'pending' AND e.id = w.endpoint_id
    RETURNING w.id, w.attempts, w.body, e.url, e.secret
""")

_END = text("""
    UPDATE webhook_deliveries SET status = :status, last_status = :answer, last_error = :error,
        delivered_at = CASE WHEN :status = 'delivered' THEN now() END,
        next_attempt_at = CASE WHEN :status = 'pending' THEN now() + make_interval(secs => :seconds) END
    WHERE id = :id AND attempts = :attempt AND status = 'pending'
""")


class Attempt(NamedTuple):
    """The next attempt of a message: the number of those before it."""

    delivery_id: UUID
    attempt: int


@dataclass(frozen=True)
class Message:
    """What is sent where, on attempt number `attempt`, from 1."""

    delivery_id: UUID
    attempt: int
    body: dict[str, Any]
    url: str
    secret: str


def enqueue(session: Session, document_id: UUID) -> None:
    """Write the messages that a document's end brings, in the transaction that ends it."""
    session.execute(_ENQUEUE, {"document_id": document_id})


def enqueue_artifact(session: Session, artifact_id: UUID) -> None:
    """Write the messages that a study aid's end brings, in the transaction that ends it."""
    session.execute(_ENQUEUE_ARTIFACT, {"artifact_id": artifact_id})


def dispatch(session: Session, *, most: int) -> list[Attempt]:
    """Attempts that are due, at most `most`; nobody else gets them for a while."""
    rows = session.execute(_DISPATCH, {"most": most, "seconds": _ARRIVAL_SECONDS})
    return [Attempt(row.id, row.attempts) for row in rows]


def begin(session: Session, attempt: Attempt) -> Message | None:
    """Count an attempt, before it is made; None if somebody has made it, or the message or its endpoint is gone."""
    values = {"id": attempt.delivery_id, "attempt": attempt.attempt, "seconds": _SENDING_SECONDS}
    row = session.execute(_BEGIN, values).first()
    return None if row is None else Message(row.id, row.attempts, row.body, row.url, row.secret)


def end(
    session: Session,
    message: Message,
    status: Literal["delivered", "pending", "failed"],
    *,
    answer: int | None = None,
    error: str | None = None,
    seconds: float = 0,
) -> None:
    """Note what came of an attempt: a `pending` message is due again after so many `seconds`."""
    session.execute(
        _END,
        {
            "id": message.delivery_id,
            "attempt": message.attempt,
            "status": status,
            "answer": answer,
            "error": error,
            "seconds": seconds,
        },
    )


def add_endpoint(session: Session, owner: str, url: str, secret: str, events: Sequence[Event]) -> WebhookEndpoint:
    """A new endpoint, which hears of what ends from now on.

    Raises:
        InvalidPayload: the owner has `MOST_ENDPOINTS`.
    """
    if len(list_endpoints(session, owner, most=MOST_ENDPOINTS)) == MOST_ENDPOINTS:
        raise InvalidPayload(f"An owner has at most {MOST_ENDPOINTS} endpoints, and there are so many. Delete one.")
    endpoint = WebhookEndpoint(id=uuid4(), owner=owner, url=url, secret=secret, events=list(dict.fromkeys(events)))
    session.add(endpoint)
    session.flush()
    session.refresh(endpoint)
    return endpoint


def list_endpoints(
    session: Session, owner: str | None, *, most: int, after: UUID | None = None
) -> list[WebhookEndpoint]:
    """An owner's endpoints, the newest first; everybody's for None. `after` is the last one of the list before."""
    statement = select(WebhookEndpoint) if owner is None else select(WebhookEndpoint).filter_by(owner=owner)
    return list(session.scalars(_newest(statement, WebhookEndpoint, after).limit(most)))


def get_endpoint(session: Session, endpoint_id: UUID, owner: str | None) -> WebhookEndpoint | None:
    """An endpoint of this owner, or of anybody for None."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    return endpoint if endpoint is not None and owner in (None, endpoint.owner) else None


def delete_endpoint(session: Session, endpoint_id: UUID) -> None:
    """Delete an endpoint with its messages."""
    session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))


def list_deliveries(
    session: Session, endpoint_id: UUID, *, most: int, after: UUID | None = None
) -> list[WebhookDelivery]:
    """An endpoint's messages, the newest first. `after` is the last one of the list before."""
    statement = select(WebhookDelivery).filter_by(endpoint_id=endpoint_id)
    return list(session.scalars(_newest(statement, WebhookDelivery, after).limit(most)))


def redeliver(session: Session, delivery_id: UUID) -> None:
    """Have a message sent again, whatever came of it, with all its attempts."""
    values = {"status": "pending", "attempts": 0, "next_attempt_at": text("now()"), "delivered_at": None}
    session.execute(update(WebhookDelivery).where(WebhookDelivery.id == delivery_id).values(**values))


def get_delivery(session: Session, delivery_id: UUID, owner: str | None) -> WebhookDelivery | None:
    """A message to an endpoint of this owner, or of anybody for None."""
    delivery = session.get(WebhookDelivery, delivery_id)
    if delivery is None or get_endpoint(session, delivery.endpoint_id, owner) is None:
        return None
    return delivery


def drop_old(session: Session, *, days: int = _KEPT_DAYS) -> None:
    """Forget messages that are so old."""
    session.execute(
        text("DELETE FROM webhook_deliveries WHERE created_at < now() - make_interval(days => :days)"), {"days": days}
    )


def _newest(statement: Select[T], table: type[WebhookEndpoint | WebhookDelivery], after: UUID | None) -> Select[T]:
    if after is not None:
        last = select(table.created_at, table.id).where(table.id == after).scalar_subquery()
        statement = statement.where(tuple_(table.created_at, table.id) < last)
    return statement.order_by(table.created_at.desc(), table.id.desc())
