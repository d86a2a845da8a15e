"""A seed gives the same run each time; pages say which they are."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from quire.pages import PageLimits, open_source
from quire.settings import Settings
from tests.chaos.books import make_books, sizes
from tests.chaos.schedule import KINDS, schedule
from tests.chaos.serials import cells_image, is_deadly, read_cells, text_of


def test_a_seed_gives_the_same_faults_and_another_one_others():
    one, again, other = (list(islice(schedule(seed, KINDS, 3.0), 40)) for seed in (1, 1, 2))
    assert one == again != other


def test_each_round_has_every_kind_and_faults_come_as_often_as_asked():
    faults = list(islice(schedule(5, KINDS, 3.0), 10 * len(KINDS)))
    for start in range(0, len(faults), len(KINDS)):
        assert {fault.kind for fault in faults[start : start + len(KINDS)]} == set(KINDS)
    assert faults[-1].at / len(faults) == pytest.approx(3.0, rel=0.15)
    assert all(0 <= fault.lot < 1 for fault in faults)


@pytest.mark.parametrize("pages", [1, 7, 2000, 10_000])
def test_sizes_add_up(pages: int):
    found = list(sizes(pages, seed=3))
    assert sum(found) == pages
    assert min(found) >= 1
    assert max(found) <= max(1, pages // 5)


def test_a_page_of_cells_is_read_back_from_its_pdf(tmp_path: Path):
    books = make_books(tmp_path, 40, "fake", seed=1)
    assert len({text for book in books for text in book.texts}) == 40
    for book in books:
        with open_source(book.path, PageLimits.from_settings(Settings())) as source:
            for dpi in (72, 180, 300):
                images = [source.image(number, dpi) for number in range(1, source.page_count + 1)]
                assert tuple(text_of(read_cells(image.pixels)) for image in images) == book.texts


def test_deadly_pages_are_in_some_of_the_documents_that_come_first(tmp_path: Path):
    harmless = make_books(tmp_path, 200, "fake", seed=3)
    books = make_books(tmp_path, 200, "fake", seed=3, deadly=2)
    deadly = [number for number, book in enumerate(books) if None in book.texts]
    assert len(deadly) == 2
    assert max(deadly) < (len(books) + 1) // 2
    for book, other in zip(books, harmless, strict=True):
        assert len(book.texts) == len(other.texts)
        assert book.texts.count(None) <= 1
    with open_source(books[deadly[0]].path, PageLimits.from_settings(Settings())) as source:
        page = books[deadly[0]].texts.index(None) + 1
        assert is_deadly(read_cells(source.image(page, 180).pixels))


def test_the_real_engine_survives_every_page(tmp_path: Path):
    assert not any(None in book.texts for book in make_books(tmp_path, 20, "lean", seed=3, deadly=2))


def test_cells_that_say_nothing_are_refused():
    pixels = np.asarray(cells_image(123_456).convert("RGB")).copy()
    assert read_cells(pixels) == 123_456
    pixels[:8, :8] = 255 - pixels[:8, :8]
    with pytest.raises(ValueError, match="no serial number"):
        read_cells(pixels)
