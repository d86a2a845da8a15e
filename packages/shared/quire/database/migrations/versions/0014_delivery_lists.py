"""An endpoint's messages by time, as they are listed: a busy one has millions within the 30 days that they are kept."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("webhook_deliveries_of_endpoint", "webhook_deliveries", ["endpoint_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("webhook_deliveries_of_endpoint", "webhook_deliveries")
