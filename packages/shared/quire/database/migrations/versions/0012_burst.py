"""Rented pods: what the controller remembers, and what each pod costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _time(name: str, *, required: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required)


def upgrade() -> None:
    op.create_table(
        "burst_state",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("fence", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("stopped", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("policy", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("rates", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        _time("ticked_at"),
        sa.Column("decision", sa.Text),
        sa.CheckConstraint("id = 1", name="burst_state_one"),
    )
    op.create_table(
        "burst_pods",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("pod_id", sa.Text),
        sa.Column("price_per_hour", sa.Float, nullable=False),
        _time("created_at", required=True),
        _time("listed_at"),
        _time("missing_since"),
        _time("silent_since"),
        _time("idle_since"),
        _time("draining_since"),
        _time("gone_at"),
    )
    op.create_index("burst_pods_there", "burst_pods", ["created_at"], postgresql_where=sa.text("gone_at IS NULL"))
    op.create_index("burst_pods_gone", "burst_pods", ["gone_at"])


def downgrade() -> None:
    op.drop_table("burst_pods")
    op.drop_table("burst_state")
