"""Words: what each line of a page is made of, with a box of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable and without a default: no row is rewritten, however many there are.
    op.add_column("pages", sa.Column("words", postgresql.JSONB))


def downgrade() -> None:
    op.drop_column("pages", "words")
