"""The schema goes up, matches the code, and comes down again."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from quire.database import migrate
from quire.database.tables import Base


def test_the_migrated_schema_is_the_one_the_code_declares(database: Engine):
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migrations_and_code_give_the_same_indexes_and_checks(database: Engine, postgres_server):
    def shape(engine: Engine) -> tuple[set[str], set[tuple[str, str]]]:
        with engine.connect() as connection:
            indexes = connection.execute(
                text("SELECT indexdef FROM pg_indexes WHERE tablename IN ('documents', 'pages')")
            )
            checks = connection.execute(
                text(
                    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                    "WHERE conrelid IN ('documents'::regclass, 'pages'::regclass) AND contype = 'c'"
                )
            )
            return {row[0] for row in indexes}, {(row[0], row[1]) for row in checks}

    migrated = shape(database)
    migrate.downgrade(database, "base")
    Base.metadata.create_all(database)
    assert shape(database) == migrated


def test_going_back_leaves_nothing(database: Engine):
    migrate.downgrade(database, "base")
    assert set(inspect(database).get_table_names()) == {"alembic_version"}


def test_going_back_and_forth_gives_a_working_schema(database: Engine):
    migrate.downgrade(database, "base")
    migrate.upgrade(database)
    migrate.upgrade(database)
    assert {"documents", "pages"} <= set(inspect(database).get_table_names())
