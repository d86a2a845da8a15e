"""Real servers and real documents for every test that needs them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from quire.database import migrate
from quire.database.engine import connect
from quire.embedded import EmbeddedPostgres, EmbeddedRedis
from quire.settings import Settings

# Receipts with ground truth, hostile and odd PDFs; see docs/testing.md.
DATA = Path(os.environ.get("QUIRE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def receipts() -> Path:
    """Folder with `img/*.jpg` and `box/*.csv` (x1,y1,…,x4,y4,text)."""
    return _data("receipts")


@pytest.fixture(scope="session")
def documents() -> Path:
    """Folder of PDFs and images, odd and hostile ones among them."""
    return _data("documents")


def _data(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the test documents in {folder} (set QUIRE_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of models for the whole session: laying them out takes seconds."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis server of this session's own."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A Postgres server of this session's own."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database without tables."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def migrated_database(postgres_server: EmbeddedPostgres) -> str:
    """The name of a database with the current schema. Tests get copies of it, which cost less than to migrate each."""
    name = "migrated"
    engine = connect(_sqlalchemy_url(postgres_server.create_database(name)))
    migrate.upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, migrated_database: str) -> Iterator[str]:
    """The URL of a database with the current schema."""
    name = f"test_{uuid.uuid4().hex}"
    server = connect(_sqlalchemy_url(postgres_server.url)).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {migrated_database}"))
    server.dispose()
    yield postgres_server.url_of(name)
    postgres_server.drop_database(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a database with the current schema."""
    engine = connect(_sqlalchemy_url(database_url), pool_size=20)
    yield engine
    engine.dispose()


def _sqlalchemy_url(url: str) -> str:
    converted = Settings(database_url=url).sqlalchemy_url
    assert converted is not None
    return converted
