"""The file of a document that takes turns is fetched once, and does not stay for long."""

from __future__ import annotations

import io
import os
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from flow.source_cache import SourceCache
from quire.settings import Settings
from tests.integration.page_flow_bench import Bench

PAGES = 12


class Counting:
    """A store that counts downloads."""

    def __init__(self, bench: Bench) -> None:
        self.downloads = 0
        download = bench.store.download

        def counted(bucket: str, key: str, target: Path, most: int) -> int:
            self.downloads += 1
            return download(bucket, key, target, most)

        object.__setattr__(bench.store, "download", counted)


def read_in_turns(bench: Bench, document_id: uuid.UUID, **settings: object) -> int:
    """Work on a document until it has ended, a batch of pages at a time; the number of turns it took."""
    settings_then = bench.flow.settings.model_copy(update=settings)
    turns = 0
    while bench.document(document_id).status in ("queued", "running"):
        before = len(bench.engine.read)
        interrupted = replace(
            bench.flow, settings=settings_then, draining=lambda before=before: len(bench.engine.read) > before
        )
        interrupted.work(document_id)
        turns += 1
        assert turns < 100
    return turns


def kept(bench: Bench) -> list[Path]:
    folder = SourceCache.of(bench.flow.settings).folder
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def book(bench: Bench) -> uuid.UUID:
    return bench.accept(bench.put("book.tiff", book_of(PAGES)))


def book_of(pages: int) -> bytes:
    content = io.BytesIO()
    frames = [Image.new("L", (40 + number, 30), number) for number in range(pages)]
    frames[0].save(content, "TIFF", save_all=True, append_images=frames[1:])
    return content.getvalue()


def test_a_book_that_takes_turns_is_fetched_once(bench: Bench, book: uuid.UUID):
    counted = Counting(bench)
    assert read_in_turns(bench, book) > 2
    assert counted.downloads == 1
    assert bench.document(book).status == "completed"
    assert [page.text for page in bench.pages(book).values()] == [f"{40 + n} x 30" for n in range(PAGES)]


def test_without_room_it_is_fetched_for_each_turn(bench: Bench, book: uuid.UUID):
    counted = Counting(bench)
    turns = read_in_turns(bench, book, quire_source_cache_bytes=0)
    assert counted.downloads >= turns - 1 > 1
    assert kept(bench) == []


def test_what_is_read_in_one_turn_is_not_kept(bench: Bench):
    document_id = bench.accept(bench.put("letter.tiff", book_of(2)))
    bench.flow.work(document_id)
    assert bench.document(document_id).status == "completed"
    assert kept(bench) == []


def test_a_file_is_removed_some_minutes_after_its_last_use(bench: Bench, book: uuid.UUID):
    read_in_turns(bench, book)
    (entry,) = kept(bench)
    an_hour_ago = time.time() - 3600
    os.utime(entry, (an_hour_ago, an_hour_ago))
    bench.flow.work(bench.accept(bench.put("letter.tiff", book_of(1))))
    assert kept(bench) == []


def test_the_oldest_files_make_room(tmp_path: Path):
    settings = Settings(quire_runtime_dir=tmp_path / "run", quire_source_cache_bytes=250)
    cache = SourceCache.of(settings)
    for number, name in enumerate("abc"):
        path = tmp_path / name
        path.write_bytes(name.encode() * 100)
        cache.keep(name * 64, path)
        os.utime(cache.folder / (name * 64), (time.time() - 60 + number, time.time() - 60 + number))
    assert {entry.name[0] for entry in cache.folder.iterdir()} == {"b", "c"}
    target = tmp_path / "target"
    assert not cache.take("a" * 64, target)
    assert cache.take("b" * 64, target)
    assert target.read_bytes() == b"b" * 100
    # Whoever has a file keeps it when it is removed.
    cache.remove_old(0)
    assert target.read_bytes() == b"b" * 100


def test_a_file_larger_than_all_room_is_not_kept(tmp_path: Path):
    settings = Settings(quire_runtime_dir=tmp_path / "run", quire_source_cache_bytes=50)
    path = tmp_path / "large"
    path.write_bytes(b"x" * 100)
    SourceCache.of(settings).keep("d" * 64, path)
    assert not SourceCache.of(settings).folder.exists()
