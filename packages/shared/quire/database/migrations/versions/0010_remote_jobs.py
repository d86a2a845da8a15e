"""Jobs at a serverless endpoint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, UUID

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

OPEN = "state IN ('sending', 'unknown', 'queued', 'running')"


def _time(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required)


def upgrade() -> None:
    op.create_table(
        "remote_jobs",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("document_id", UUID(as_uuid=True), nullable=False),
        sa.Column("remote_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("numbers", ARRAY(sa.Integer), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("lease_token", UUID(as_uuid=True)),
        sa.Column("plan_attempt", sa.SmallInteger),
        _time("created_at", required=True),
        _time("deadline_at", required=True),
        _time("running_since"),
        _time("ended_at"),
        sa.Column("execution_seconds", sa.Float),
        sa.Column("error_code", sa.Text),
        sa.CheckConstraint(
            "state IN ('sending', 'unknown', 'queued', 'running', 'completed', 'failed', 'timed_out', 'cancelled', "
            "'expired', 'lost')",
            name="remote_jobs_state_known",
        ),
        sa.CheckConstraint(f"({OPEN}) = (ended_at IS NULL)", name="remote_jobs_ended_or_open"),
    )
    op.create_index("remote_jobs_open", "remote_jobs", ["document_id"], postgresql_where=sa.text(OPEN))
    op.create_index("remote_jobs_created", "remote_jobs", ["created_at"])
    op.create_index("remote_jobs_ended", "remote_jobs", ["ended_at"])


def downgrade() -> None:
    op.drop_table("remote_jobs")
