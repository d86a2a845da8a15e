"""Turns: which waiting document is dispatched next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WAITING = "status = 'queued' AND dispatched_at IS NULL"
DISPATCHED = "status = 'running' OR (status = 'queued' AND dispatched_at IS NOT NULL)"


def upgrade() -> None:
    # Constant defaults: no row is rewritten. Documents queued before wait for their turn like new ones.
    op.add_column("documents", sa.Column("owner", sa.Text, server_default=sa.text("''"), nullable=False))
    op.add_column("documents", sa.Column("priority", sa.SmallInteger, server_default=sa.text("0"), nullable=False))
    op.add_column("documents", sa.Column("turn", sa.BigInteger, server_default=sa.text("0"), nullable=False))
    op.add_column("documents", sa.Column("dispatched_at", sa.DateTime(timezone=True)))
    op.create_index(
        "documents_waiting", "documents", ["priority", "turn", "created_at"], postgresql_where=sa.text(WAITING)
    )
    op.create_index(
        "documents_waiting_of_owner", "documents", ["owner", "priority", "turn"], postgresql_where=sa.text(WAITING)
    )
    # The reconciler's, which must not look at documents that merely wait.
    op.drop_index("documents_unfinished", "documents")
    op.create_index("documents_dispatched", "documents", ["touched_at"], postgresql_where=sa.text(DISPATCHED))


def downgrade() -> None:
    op.drop_index("documents_dispatched", "documents")
    op.create_index(
        "documents_unfinished",
        "documents",
        ["touched_at"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.drop_index("documents_waiting_of_owner", "documents")
    op.drop_index("documents_waiting", "documents")
    for column in ("dispatched_at", "turn", "priority", "owner"):
        op.drop_column("documents", column)
