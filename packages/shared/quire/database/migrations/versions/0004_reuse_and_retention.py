"""What decides a document's text, to find it again; and when it ended, to delete it in time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("fingerprint", sa.Text))
    op.create_index(
        "documents_fingerprint",
        "documents",
        ["fingerprint", "owner"],
        postgresql_where=sa.text("fingerprint IS NOT NULL"),
    )
    op.create_index(
        "documents_finished", "documents", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("documents_finished", "documents")
    op.drop_index("documents_fingerprint", "documents")
    op.drop_column("documents", "fingerprint")
