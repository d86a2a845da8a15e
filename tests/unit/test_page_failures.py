"""Pages that failed are not tried again and again."""

from __future__ import annotations

import pytest

from quire.errors import Corrupt, PageTimeout, QuireError, StorageUnreachable
from quire_api.page_failures import PageFailures


class Pages:
    """Pages that fail, a clock, and how often they were tried."""

    def __init__(self, most: int = 10) -> None:
        self.time = 0.0
        self.tries = 0
        self.failures = PageFailures(seconds=300, most=most, now=lambda: self.time)

    def render(self, page: int, error: QuireError) -> QuireError:
        with pytest.raises(QuireError) as raised:
            self._render(page, error)
        return raised.value

    def _render(self, page: int, error: QuireError) -> None:
        with self.failures.remembered(page):
            self.tries += 1
            raise error


def test_a_page_that_failed_is_tried_again_after_a_while():
    pages = Pages()
    for _ in range(5):
        failed = pages.render(1, PageTimeout("It took too long."))
        assert (type(failed), failed.message) == (PageTimeout, "It took too long.")
    assert pages.tries == 1
    pages.render(2, Corrupt("damaged"))
    assert pages.tries == 2
    pages.time = 301
    pages.render(1, PageTimeout("It took too long."))
    assert pages.tries == 3


def test_what_is_not_the_fault_of_the_page_is_forgotten():
    pages = Pages()
    for _ in range(2):
        pages.render(1, StorageUnreachable("no answer"))
    assert pages.tries == 2


def test_only_so_many_are_remembered():
    pages = Pages(most=2)
    for page in (1, 2, 3, 2, 3, 1):
        pages.render(page, Corrupt("damaged"))
    assert pages.tries == 4
