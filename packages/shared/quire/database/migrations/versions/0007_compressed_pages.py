"""Detections and words of pages as compressed JSON (`quire.database.compressed`); a list of all documents by age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from quire.database.compressed import decompress

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = ("detections", "words")
_ROWS_AT_ONCE = 500


def upgrade() -> None:
    op.create_index("documents_created", "documents", ["created_at", "id"])
    for name in _COLUMNS:
        # What is there stays uncompressed, which is read as well.
        op.execute(f"ALTER TABLE pages ALTER COLUMN {name} TYPE bytea USING convert_to({name}::text, 'UTF8')")
        # Postgres is not to try and compress it once more.
        op.execute(f"ALTER TABLE pages ALTER COLUMN {name} SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_index("documents_created", "documents")
    for name in _COLUMNS:
        op.execute(f"ALTER TABLE pages ADD COLUMN {name}_json jsonb")
        _fill(name)
        op.execute(f"ALTER TABLE pages DROP COLUMN {name}")
        op.execute(f"ALTER TABLE pages RENAME COLUMN {name}_json TO {name}")


def _fill(name: str) -> None:
    connection = op.get_bind()
    keys = connection.execute(sa.text(f"SELECT document_id, number FROM pages WHERE {name} IS NOT NULL")).all()
    select = sa.text(f"SELECT {name} FROM pages WHERE document_id = :document_id AND number = :number")
    update = sa.text(
        f"UPDATE pages SET {name}_json = CAST(:content AS jsonb) WHERE document_id = :document_id AND number = :number"
    )
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        values = [
            {**key._mapping, "content": decompress(connection.execute(select, key._mapping).scalar_one()).decode()}
            for key in keys[start : start + _ROWS_AT_ONCE]
        ]
        connection.execute(update, values)
