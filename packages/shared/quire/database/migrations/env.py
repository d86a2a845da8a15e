"""Alembic's entry point: it is handed a connection by `quire.database.migrate`, or opens one from DATABASE_URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from quire.database.engine import patient_engine
from quire.database.tables import Base


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with patient_engine().begin() as opened:
        _run(opened)
