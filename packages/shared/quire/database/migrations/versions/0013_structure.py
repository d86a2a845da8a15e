"""Blocks of pages, their Markdown, and what was done to their images before they were read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COMPRESSED = ("blocks", "transform")


def upgrade() -> None:
    op.add_column("pages", sa.Column("markdown", sa.Text))
    for name in _COMPRESSED:
        op.add_column("pages", sa.Column(name, sa.LargeBinary))
        # Whoever writes them compresses them: Postgres is not to try once more.
        op.execute(f"ALTER TABLE pages ALTER COLUMN {name} SET STORAGE EXTERNAL")


def downgrade() -> None:
    for name in (*_COMPRESSED, "markdown"):
        op.drop_column("pages", name)
