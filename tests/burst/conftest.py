"""One database for the tests of a file: making one takes longer than most of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from quire.database import migrate
from quire.database.engine import connect
from quire.database.tables import Base
from quire.embedded import EmbeddedPostgres
from quire.settings import Settings


@pytest.fixture(scope="module")
def database_of_file(postgres_server: EmbeddedPostgres) -> Iterator[Engine]:
    """A database with the current schema."""
    name = f"test_{uuid.uuid4().hex}"
    url = Settings(database_url=postgres_server.create_database(name)).sqlalchemy_url
    assert url is not None
    engine = connect(url, pool_size=20)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()
    postgres_server.drop_database(name)


@pytest.fixture
def emptied_database(database_of_file: Engine) -> Engine:
    """The database of the file, with nothing in it."""
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with database_of_file.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables}"))
    return database_of_file
