"""Documents keep the span that submitted them, so that every ticket's work belongs to one trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("traceparent", sa.Text))


def downgrade() -> None:
    op.drop_column("documents", "traceparent")
