"""The tables: the page flow's two, and those of the API around them."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quire.database.compressed import CompressedJson

DOCUMENT_STATUSES = ("queued", "running", "completed", "partial", "failed", "cancelled")
PAGE_STATUSES = ("pending", "leased", "done", "failed")
REMOTE_JOB_STATES = (
    "sending",
    "unknown",
    "queued",
    "running",
    "completed",
    "failed",
    "timed_out",
    "cancelled",
    "expired",
    "lost",
)
ARTIFACT_STATUSES = ("waiting", "queued", "running", "completed", "failed", "unavailable")

# For indexes, and the statements that use them: documents that wait for a ticket, and those that have or had one and
# are not finished.
WAITING = "status = 'queued' AND dispatched_at IS NULL"
DISPATCHED = "status = 'running' OR (status = 'queued' AND dispatched_at IS NOT NULL)"

# Jobs at a serverless endpoint of which it is not known what came of them.
REMOTE_JOB_OPEN = "state IN ('sending', 'unknown', 'queued', 'running')"


class Base(DeclarativeBase):
    """Declarative base; `Base.metadata` is what migrations are compared with."""


class Document(Base):
    """One document: where its bytes are, what was asked for, how far it is.

    `page_count` is None until the document has been planned; whoever plans it holds it until `plan_expires_at`.
    `pages_total` counts the pages selected; the document is finished when `pages_done + pages_failed` reaches it.
    `page_number` is the one page asked for, or None. `fingerprint` says what decides its pages' text (`reuse.py`).

    `dispatched_at` is None until the first ticket is issued; `priority` (0 first) and `turn` say whose is next
    (`turns.py`), `owner` who the document belongs to. `touched_at` moves with every ticket and every lease: the
    reconciler takes an old one for the sign that no ticket is left. `traceparent` is the span that submitted it.
    """

    __tablename__ = "documents"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    bucket: Mapped[str] = mapped_column(Text)
    source_key: Mapped[str] = mapped_column(Text)
    filename: Mapped[str | None] = mapped_column(Text)
    media_type: Mapped[str | None] = mapped_column(Text)
    source_bytes: Mapped[int | None] = mapped_column(BigInteger)
    source_sha256: Mapped[str | None] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    options_hash: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(Text)
    page_number: Mapped[int | None] = mapped_column(Integer)
    owner: Mapped[str] = mapped_column(Text, server_default=sql("''"))
    traceparent: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    turn: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    dispatched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    status: Mapped[str] = mapped_column(Text, server_default=sql("'queued'"))
    page_count: Mapped[int | None] = mapped_column(Integer)
    pages_total: Mapped[int | None] = mapped_column(Integer)
    pages_done: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    pages_failed: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    plan_attempts: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    plan_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    touched_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(f"status IN {DOCUMENT_STATUSES}", name="documents_status_known"),
        CheckConstraint("pages_done + pages_failed <= pages_total", name="documents_counts_within_total"),
        Index("documents_waiting", "priority", "turn", "created_at", postgresql_where=sql(WAITING)),
        Index("documents_waiting_of_owner", "owner", "priority", "turn", postgresql_where=sql(WAITING)),
        Index("documents_fingerprint", "fingerprint", "owner", postgresql_where=sql("fingerprint IS NOT NULL")),
        Index("documents_finished", "finished_at", postgresql_where=sql("finished_at IS NOT NULL")),
        Index("documents_dispatched", "touched_at", postgresql_where=sql(DISPATCHED)),
        Index("documents_status", "status", "created_at"),
        Index("documents_of_owner", "owner", "created_at", "id"),
        Index("documents_created", "created_at", "id"),
    )


class Page(Base):
    """One page: its lease while it is worked on, its text when it is done, its error when it is given up.

    `attempts` is raised by the lease, before the work. Boxes in `detections` and `words` are in pixels of an image of
    `width` × `height`; see `quire.contracts.PageText`. `words` is None for pages read before there were words;
    `blocks`, `markdown` and `transform` where a page has none.
    """

    __tablename__ = "pages"

    document_id: Mapped[uuid.UUID] = mapped_column(
        UUID(as_uuid=True), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    status: Mapped[str] = mapped_column(Text, server_default=sql("'pending'"))
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    lease_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    dpi: Mapped[float | None] = mapped_column()
    rotation: Mapped[int | None] = mapped_column(SmallInteger)
    source: Mapped[str | None] = mapped_column(Text)
    engine: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    detections: Mapped[list[dict[str, Any]] | None] = mapped_column(CompressedJson)
    words: Mapped[list[dict[str, Any]] | None] = mapped_column(CompressedJson)
    blocks: Mapped[list[dict[str, Any]] | None] = mapped_column(CompressedJson)
    markdown: Mapped[str | None] = mapped_column(Text)
    transform: Mapped[dict[str, Any] | None] = mapped_column(CompressedJson)
    confidence: Mapped[float | None] = mapped_column()
    timings: Mapped[dict[str, float] | None] = mapped_column(JSONB)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(f"status IN {PAGE_STATUSES}", name="pages_status_known"),
        CheckConstraint("(status = 'leased') = (lease_token IS NOT NULL)", name="pages_token_while_leased"),
        # Leasing and reconciling look only at pages that still need work.
        Index("pages_open", "document_id", "number", postgresql_where=sql("status IN ('pending', 'leased')")),
    )


class Tombstone(Base):
    """A document that is gone, so that whoever asks for it learns why. `reason` is `expired` or `deleted`."""

    __tablename__ = "tombstones"

    document_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    deleted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        CheckConstraint("reason IN ('expired', 'deleted')", name="tombstones_reason_known"),
        Index("tombstones_deleted", "deleted_at"),
    )


class IdempotencyKey(Base):
    """A request that was answered: the same key of the same owner gets the same document.

    `request_hash` is the SHA-256 of what was asked for, as hex: the same key for something else is refused.
    """

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_hash: Mapped[str] = mapped_column(Text)
    document_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), ForeignKey("documents.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("idempotency_keys_document", "document_id"),)


class ApiKey(Base):
    """A key of the API. Only the SHA-256 of the secret is kept; `prefix` is its beginning, to tell keys apart by.

    Keys of one `owner` see the same documents. Limits that are None do not apply.
    """

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    requests_per_minute: Mapped[int | None] = mapped_column(Integer)
    pages_per_day: Mapped[int | None] = mapped_column(Integer)
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RequestWindow(Base):
    """Requests of a key in one minute, counted from the epoch."""

    __tablename__ = "request_windows"

    key_id: Mapped[uuid.UUID] = mapped_column(
        UUID(as_uuid=True), ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True
    )
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    requests: Mapped[int] = mapped_column(Integer)

    __table_args__ = (Index("request_windows_minute", "minute"),)


class Usage(Base):
    """Pages that an owner had planned on one day (UTC), and tokens of study aids; what is deleted stays counted."""

    __tablename__ = "usage"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    pages: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))


class WebhookEndpoint(Base):
    """Where an owner wants to hear of events. `secret` signs the messages (Standard Webhooks)."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (Index("webhook_endpoints_owner", "owner"),)


class WebhookDelivery(Base):
    """One message to one endpoint, from the event until it was taken or given up.

    A document that ends again, after a retry, is another event: `occasion` tells them apart.
    """

    __tablename__ = "webhook_deliveries"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        UUID(as_uuid=True), ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    document_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    event: Mapped[str] = mapped_column(Text)
    occasion: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(Text, server_default=sql("'pending'"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_status: Mapped[int | None] = mapped_column(SmallInteger)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="webhook_deliveries_status_known"),
        Index("webhook_deliveries_once", "endpoint_id", "event", "document_id", "occasion", unique=True),
        Index("webhook_deliveries_due", "next_attempt_at", postgresql_where=sql("status = 'pending'")),
        Index("webhook_deliveries_created", "created_at"),
        Index("webhook_deliveries_of_endpoint", "endpoint_id", "created_at", "id"),
    )


class Artifact(Base):
    """A study aid of a document, from when it is asked for: one for each kind and options.

    It is `waiting` until its document has ended, then `queued`, and `running` while somebody holds its lease. What is
    queued may have a task from `next_attempt_at` on, and has had one on its way since `dispatched_at`. `attempts`
    counts the leases since it last got on. Tokens are those of all requests, also useless ones; `timings` are seconds.
    """

    __tablename__ = "artifacts"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    document_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), ForeignKey("documents.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSONB)
    options_hash: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    lease_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    dispatched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    model: Mapped[str | None] = mapped_column(Text)
    prompt_version: Mapped[str | None] = mapped_column(Text)
    requests: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    output_tokens: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    cost: Mapped[float | None] = mapped_column()
    timings: Mapped[dict[str, float] | None] = mapped_column(JSONB)
    windows_done: Mapped[int] = mapped_column(Integer, server_default=sql("0"))
    windows_total: Mapped[int | None] = mapped_column(Integer)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint("kind IN ('summary', 'flashcards', 'quiz')", name="artifacts_kind_known"),
        CheckConstraint(f"status IN {ARTIFACT_STATUSES}", name="artifacts_status_known"),
        CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name="artifacts_token_while_running"),
        Index("artifacts_once", "document_id", "kind", "options_hash", unique=True),
        Index("artifacts_open", "next_attempt_at", postgresql_where=sql("status IN ('queued', 'running')")),
    )


class ArtifactWindow(Base):
    """An answer of the model that is paid for, or the items of a window that were made of such answers.

    `step` is the SHA-256 of the request, or of what the window is asked, as hex: whoever goes on with the artifact asks
    nothing twice, and looks for no quote twice.
    """

    __tablename__ = "artifact_windows"

    artifact_id: Mapped[uuid.UUID] = mapped_column(
        UUID(as_uuid=True), ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[str] = mapped_column(Text, primary_key=True)
    answer: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class RemoteJob(Base):
    """A job at a serverless endpoint: `sending` before the platform is asked, `unknown` where its answer was lost.

    `remote_id` is the platform's. `pages` is how many it is to read; where the controller has leased them for it they
    are `numbers`, under `lease_token`, and `plan_attempt` says that it holds a document that nobody has opened. It is
    over at `deadline_at` whatever happens. Documents may be deleted before it.
    """

    __tablename__ = "remote_jobs"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    document_id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True))
    remote_id: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    pages: Mapped[int] = mapped_column(Integer)
    numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default=sql("'{}'"))
    lease_token: Mapped[uuid.UUID | None] = mapped_column(UUID(as_uuid=True))
    plan_attempt: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    deadline_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    running_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    execution_seconds: Mapped[float | None] = mapped_column()
    error_code: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint(f"state IN {REMOTE_JOB_STATES}", name="remote_jobs_state_known"),
        CheckConstraint(f"({REMOTE_JOB_OPEN}) = (ended_at IS NULL)", name="remote_jobs_ended_or_open"),
        Index("remote_jobs_open", "document_id", postgresql_where=sql(REMOTE_JOB_OPEN)),
        Index("remote_jobs_created", "created_at"),
        Index("remote_jobs_ended", "ended_at"),
    )


class Worker(Base):
    """A worker, from its start; the same worker started again is another one.

    `queue` names the queues it takes from, with commas between. `busy` says that it held tasks when it was last heard
    of, at `seen_at`; `draining` that it takes no more, which it was asked for at `drain_asked_at`, or by a signal.
    `pod_id` is the rented machine it runs on, or None.
    """

    __tablename__ = "workers"

    id: Mapped[uuid.UUID] = mapped_column(UUID(as_uuid=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(Text)
    pod_id: Mapped[str | None] = mapped_column(Text)
    processes: Mapped[int] = mapped_column(Integer)
    draining: Mapped[bool] = mapped_column(Boolean)
    busy: Mapped[bool] = mapped_column(Boolean)
    drain_asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("workers_seen", "seen_at"),
        Index("workers_pod", "pod_id", postgresql_where=sql("pod_id IS NOT NULL")),
    )


class BurstState(Base):
    """What the controller of rented capacity remembers: the one row there is.

    `fence` is raised by every controller that begins to act: whoever knows an older number does nothing any more.
    `policy` is `quire.burst.policy.PolicyState`, `rates` is `quire.burst.rates.Rates`, both as JSON. With `stopped`
    nothing is rented.
    """

    __tablename__ = "burst_state"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    stopped: Mapped[bool] = mapped_column(Boolean, server_default=sql("false"))
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    rates: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sql("'{}'::jsonb"))
    ticked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (CheckConstraint("id = 1", name="burst_state_one"),)


class BurstPod(Base):
    """A rented pod, from before it is asked for until it is seen gone; then what it has cost.

    `pod_id` is the platform's, None while its answer is not known. It costs `price_per_hour` USD from `created_at` to
    `gone_at`; one that the platform never listed (`listed_at` is None) has cost nothing once it is gone. The platform
    has not listed it since `missing_since`; `silent_since`, `idle_since` and `draining_since` are what the controller
    has seen of its worker.
    """

    __tablename__ = "burst_pods"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    pod_id: Mapped[str | None] = mapped_column(Text)
    price_per_hour: Mapped[float] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    listed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    missing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    silent_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    idle_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    draining_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    gone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("burst_pods_there", "created_at", postgresql_where=sql("gone_at IS NULL")),
        Index("burst_pods_gone", "gone_at"),
    )
