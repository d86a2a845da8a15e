"""The page flow: documents and pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UNFINISHED = "status IN ('queued', 'running')"
OPEN = "status IN ('pending', 'leased')"


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("filename", sa.Text),
        sa.Column("media_type", sa.Text),
        sa.Column("source_bytes", sa.BigInteger),
        sa.Column("source_sha256", sa.Text),
        sa.Column("options", postgresql.JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("options_hash", sa.Text, nullable=False),
        sa.Column("page_number", sa.Integer),
        sa.Column("status", sa.Text, server_default=sa.text("'queued'"), nullable=False),
        sa.Column("page_count", sa.Integer),
        sa.Column("pages_total", sa.Integer),
        sa.Column("pages_done", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("pages_failed", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("plan_attempts", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("plan_expires_at", sa.DateTime(timezone=True)),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'partial', 'failed', 'cancelled')",
            name="documents_status_known",
        ),
        sa.CheckConstraint("pages_done + pages_failed <= pages_total", name="documents_counts_within_total"),
    )
    op.create_index("documents_unfinished", "documents", ["touched_at"], postgresql_where=sa.text(UNFINISHED))
    op.create_index("documents_status", "documents", ["status", "created_at"])
    op.create_table(
        "pages",
        sa.Column(
            "document_id",
            postgresql.UUID(as_uuid=True),
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, server_default=sa.text("'pending'"), nullable=False),
        sa.Column("lease_token", postgresql.UUID(as_uuid=True)),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("dpi", sa.Float),
        sa.Column("rotation", sa.SmallInteger),
        sa.Column("source", sa.Text),
        sa.Column("engine", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("detections", postgresql.JSONB),
        sa.Column("confidence", sa.Float),
        sa.Column("timings", postgresql.JSONB),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status IN ('pending', 'leased', 'done', 'failed')", name="pages_status_known"),
        sa.CheckConstraint("(status = 'leased') = (lease_token IS NOT NULL)", name="pages_token_while_leased"),
    )
    op.create_index("pages_open", "pages", ["document_id", "number"], postgresql_where=sa.text(OPEN))


def downgrade() -> None:
    op.drop_table("pages")
    op.drop_table("documents")
