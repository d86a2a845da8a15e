"""Study aids: what was asked for, the model's answers so far, the tokens that an owner has used on a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
ZERO = sa.text("0")


def _time(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=NOW if required else None, nullable=not required)


def upgrade() -> None:
    op.add_column("usage", sa.Column("tokens", sa.BigInteger, server_default=ZERO, nullable=False))
    op.create_table(
        "artifacts",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("document_id", UUID(as_uuid=True), sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("options_hash", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("lease_token", UUID(as_uuid=True)),
        _time("lease_expires_at"),
        sa.Column("attempts", sa.SmallInteger, server_default=ZERO, nullable=False),
        _time("next_attempt_at", required=True),
        _time("dispatched_at"),
        sa.Column("result", JSONB),
        sa.Column("model", sa.Text),
        sa.Column("prompt_version", sa.Text),
        sa.Column("requests", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, server_default=ZERO, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, server_default=ZERO, nullable=False),
        sa.Column("cost", sa.Float),
        sa.Column("timings", JSONB),
        sa.Column("windows_done", sa.Integer, server_default=ZERO, nullable=False),
        sa.Column("windows_total", sa.Integer),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        _time("created_at", required=True),
        _time("started_at"),
        _time("finished_at"),
        sa.CheckConstraint("kind IN ('summary', 'flashcards', 'quiz')", name="artifacts_kind_known"),
        sa.CheckConstraint(
            "status IN ('waiting', 'queued', 'running', 'completed', 'failed', 'unavailable')",
            name="artifacts_status_known",
        ),
        sa.CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name="artifacts_token_while_running"),
    )
    op.create_index("artifacts_once", "artifacts", ["document_id", "kind", "options_hash"], unique=True)
    op.create_index(
        "artifacts_open",
        "artifacts",
        ["next_attempt_at"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "artifact_windows",
        sa.Column(
            "artifact_id", UUID(as_uuid=True), sa.ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("answer", sa.Text, nullable=False),
        _time("created_at", required=True),
    )


def downgrade() -> None:
    op.drop_table("artifact_windows")
    op.drop_table("artifacts")
    op.drop_column("usage", "tokens")
