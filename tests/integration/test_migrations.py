"""The schema goes up, matches the code, and comes down again."""

from __future__ import annotations

import uuid

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from quire.contracts import Detection
from quire.database import documents, migrate
from quire.database.compressed import compress
from quire.database.engine import transaction
from quire.database.tables import Base, Document, Page

# A page as the schema of revision 0001 holds it.
BOX = "[[0,0],[9,0],[9,9],[0,9]]"
OLD_DOCUMENT = "INSERT INTO documents (id, bucket, source_key, options_hash) VALUES (:id, 'b', 'k', '')"
OLD_PAGE = """
    INSERT INTO pages (document_id, number, status, width, height, rotation, source, engine, text, detections, timings)
    VALUES (:id, 1, 'done', 10, 10, 0, 'ocr', 'test', 'old', CAST(:detections AS jsonb), '{}')
"""


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


def test_a_page_from_before_there_were_words_is_kept_and_has_none(database: Engine):
    migrate.downgrade(database, "0001")
    document_id = uuid.uuid4()
    detections = f'[{{"text": "old", "box": {BOX}, "confidence": 0.9, "page_number": 1}}]'
    with database.begin() as connection:
        connection.execute(text(OLD_DOCUMENT), {"id": document_id})
        connection.execute(text(OLD_PAGE), {"id": document_id, "detections": detections})
    migrate.upgrade(database)
    with transaction(database) as session:
        (page,) = documents.read_pages(session, document_id)
        assert documents.read_detections(session, document_id) == list(page.detections)
    assert (page.text, page.words, page.confidence) == ("old", (), None)
    assert [type(found) for found in page.detections] == [Detection]


def test_going_back_to_the_schema_without_words_keeps_the_rest_of_a_page(database: Engine):
    document_id = uuid.uuid4()
    with database.begin() as connection:
        connection.execute(text(OLD_DOCUMENT), {"id": document_id})
        connection.execute(text(OLD_PAGE.replace("jsonb", "bytea")), {"id": document_id, "detections": compress(b"[]")})
    migrate.downgrade(database, "0001")
    with database.connect() as connection:
        assert connection.scalar(text("SELECT text FROM pages")) == "old"
        columns = {column["name"] for column in inspect(connection).get_columns("pages")}
    assert "detections" in columns
    assert "words" not in columns


def test_boxes_are_the_same_after_going_back_to_uncompressed_ones_and_forth(database: Engine):
    document_id = uuid.uuid4()
    box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    found = [Detection(text=f"line {number} ü", box=box, confidence=0.9, page_number=1) for number in range(20)]
    with transaction(database) as session:
        session.add(Document(id=document_id, bucket="b", source_key="k", options_hash=""))
        session.flush()
        stored = [detection.model_dump(mode="json") for detection in found]
        session.add(Page(document_id=document_id, number=1, status="done", detections=stored))
    with database.connect() as connection:
        assert connection.scalar(text("SELECT length(detections) < 500 FROM pages")), "not compressed"
    migrate.downgrade(database, "0006")
    with database.connect() as connection:
        assert connection.scalar(text("SELECT detections #>> '{3,text}' FROM pages")) == "line 3 ü"
    migrate.upgrade(database)
    with transaction(database) as session:
        assert documents.read_detections(session, document_id) == found
