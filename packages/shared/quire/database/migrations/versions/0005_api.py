"""What the API adds: progress by NOTIFY, tombstones, idempotency keys, API keys and their limits, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def _time(name: str, *, default: bool = False, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=NOW if default else None, nullable=nullable)


def upgrade() -> None:
    op.create_index("documents_of_owner", "documents", ["owner", "created_at", "id"])
    # Whoever watches a document is told when something has changed that it shows.
    op.execute("""
        CREATE FUNCTION quire_notify_document() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('quire_documents', NEW.id::text);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER documents_changed AFTER UPDATE ON documents FOR EACH ROW
        WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.pages_total IS DISTINCT FROM NEW.pages_total
              OR OLD.pages_done IS DISTINCT FROM NEW.pages_done OR OLD.pages_failed IS DISTINCT FROM NEW.pages_failed)
        EXECUTE FUNCTION quire_notify_document()
    """)
    op.create_table(
        "tombstones",
        sa.Column("document_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _time("deleted_at", default=True, nullable=False),
        sa.CheckConstraint("reason IN ('expired', 'deleted')", name="tombstones_reason_known"),
    )
    op.create_index("tombstones_deleted", "tombstones", ["deleted_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("document_id", UUID(as_uuid=True), sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
        _time("created_at", default=True, nullable=False),
    )
    op.create_index("idempotency_keys_document", "idempotency_keys", ["document_id"])
    _create_keys()
    _create_webhooks()


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("pages_per_day", sa.Integer),
        _time("created_at", default=True, nullable=False),
        _time("expires_at"),
        _time("revoked_at"),
        _time("last_used_at"),
    )
    op.create_table(
        "request_windows",
        sa.Column("key_id", UUID(as_uuid=True), sa.ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        # Counts of a minute need not outlive a crash of the server.
        prefixes=["UNLOGGED"],
    )
    op.create_index("request_windows_minute", "request_windows", ["minute"])
    op.create_table(
        "usage",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("pages", sa.BigInteger, nullable=False),
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("events", sa.ARRAY(sa.Text), nullable=False),
        _time("created_at", default=True, nullable=False),
    )
    op.create_index("webhook_endpoints_owner", "webhook_endpoints", ["owner"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column(
            "endpoint_id", UUID(as_uuid=True), sa.ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("document_id", UUID(as_uuid=True), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("status", sa.Text, server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempts", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        _time("next_attempt_at", default=True),
        sa.Column("last_status", sa.SmallInteger),
        sa.Column("last_error", sa.Text),
        _time("created_at", default=True, nullable=False),
        _time("delivered_at"),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="webhook_deliveries_status_known"),
    )
    op.create_index(
        "webhook_deliveries_once",
        "webhook_deliveries",
        ["endpoint_id", "event", "document_id", "occasion"],
        unique=True,
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("webhook_deliveries_created", "webhook_deliveries", ["created_at"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_endpoints", "usage", "request_windows", "api_keys"):
        op.drop_table(table)
    op.drop_table("idempotency_keys")
    op.drop_table("tombstones")
    op.execute("DROP TRIGGER documents_changed ON documents")
    op.execute("DROP FUNCTION quire_notify_document")
    op.drop_index("documents_of_owner", "documents")
