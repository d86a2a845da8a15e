"""Tokens of study aids that the owner of a key may use on a day, and whose limit a study aid stays below."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("tokens_per_day", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("api_keys", "tokens_per_day")
