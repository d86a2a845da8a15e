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
from tests.chaos.serials import cells_image, read_cells, text_of


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


def test_cells_that_say_nothing_are_refused():
    pixels = np.asarray(cells_image(123_456).convert("RGB")).copy()
    assert read_cells(pixels) == 123_456
    pixels[:8, :8] = 255 - pixels[:8, :8]
    with pytest.raises(ValueError, match="no serial number"):
        read_cells(pixels)
