"""Workers: which there are, when each was last heard of, which are asked to take no more tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _time(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required)


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("pod_id", sa.Text),
        sa.Column("processes", sa.Integer, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("busy", sa.Boolean, nullable=False),
        _time("drain_asked_at"),
        _time("started_at", required=True),
        _time("seen_at", required=True),
    )
    op.create_index("workers_seen", "workers", ["seen_at"])
    op.create_index("workers_pod", "workers", ["pod_id"], postgresql_where=sa.text("pod_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_table("workers")
