"""Images that are made while an engine works: when, in which order, and what happens to one that cannot be."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from ocr import read
from ocr.collector import collector_paused
from ocr.engines import TextLine
from ocr.engines.halving import in_halves
from ocr.images_on_demand import ImagesOnDemand, TooManyPixels
from ocr.read import ReadOptions, page_outcomes, read_together
from quire.contracts import PageText
from quire.errors import Corrupt, OutOfMemory, QuireError
from quire.pages import PageImage
from tests.unit.test_ocr_read import Blank, Engine

NEVER = ReadOptions(dpi=144, min_confidence=0.5, languages=("en",), text_layer="never")


def image(number: int, side: int = 10) -> PageImage:
    return PageImage(number, np.zeros((side, side, 3), np.uint8))


def images(count: int, made: list[int], most_pixels: int = 10_000) -> ImagesOnDemand:
    def make(number: int) -> PageImage:
        made.append(number)
        return image(number)

    return ImagesOnDemand(image(1), [partial(make, number) for number in range(2, count + 1)], most_pixels)


def test_each_is_made_once_when_it_is_asked_for():
    made: list[int] = []
    found = images(4, made)
    assert (len(found), found[0].number, made) == (4, 1, [])
    assert [found[2].number, found[-1].number, found[2].number] == [3, 4, 3]
    assert made == [3, 4]
    assert [each.number for each in found] == [1, 2, 3, 4]
    assert made == [3, 4, 2]
    with pytest.raises(IndexError):
        found[4]


def test_all_of_them_stay_on_demand_and_a_part_is_made():
    made: list[int] = []
    found = images(4, made)
    assert found[:] is found
    assert found[0:4] is found
    assert made == []
    assert [each.number for each in found[1:3]] == [2, 3]
    assert made == [2, 3]


def test_an_engine_that_halves_its_batches_gets_them_one_by_one_too():
    """What is read while the second is made is the first."""
    made: list[int] = []
    seen: list[list[int]] = []

    def reading(some: Sequence[PageImage]) -> list[int]:
        numbers = []
        for each in some:
            seen.append([*made])
            numbers.append(each.number)
        return numbers

    assert in_halves(images(3, made), reading) == [1, 2, 3]
    assert seen == [[], [2], [2, 3]]


def test_more_pixels_than_allowed_are_refused():
    found = images(4, [], most_pixels=250)
    assert found[1].number == 2
    with pytest.raises(TooManyPixels):
        found[2]


class Sizes(Blank):
    """Pages 4,000 pixels high whose width is 10 to one of `powers`, and one that is damaged."""

    def __init__(self, powers: Sequence[int], damaged: int = 0) -> None:
        super().__init__(page_count=len(powers))
        self.powers, self.damaged = powers, damaged

    def image(self, number: int, dpi: float) -> PageImage:
        if number == self.damaged:
            raise Corrupt("This page is damaged.")
        pixels = np.broadcast_to(np.zeros(3, np.uint8), (4000, 10 ** self.powers[number - 1], 3))
        return PageImage(number, pixels)


class Groups(Engine):
    """Notes which pages it got together."""

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        together = [each.number for each in images]
        answers = super().recognize(images, languages)
        self.groups = [*getattr(self, "groups", []), together]
        return answers


@pytest.mark.parametrize(
    ("powers", "groups"),
    [
        ([1, 1, 1, 1], [[1, 2, 3, 4]]),
        ([4, 4, 4], [[1], [2], [3]]),
        # Large ones among small ones show only when they are made.
        ([1, 1, 4, 4, 1], [[1], [2], [3], [4], [5]]),
        ([4, 1, 1], [[1], [2, 3]]),
    ],
)
def test_pages_are_together_as_far_as_memory_goes(powers: list[int], groups: list[list[int]]):
    engine = Groups()
    numbers = [(number, number) for number in range(1, len(powers) + 1)]
    pages = read_together(Sizes(powers), numbers, NEVER, engine)
    assert [page.page_number for page in pages] == [number for number, _ in numbers]
    assert engine.groups == groups


def test_a_page_that_cannot_be_made_costs_only_itself():
    source = Sizes([1, 1, 1, 1], damaged=3)
    outcomes = list(page_outcomes(source, [(number, number) for number in range(1, 5)], NEVER, Engine()))
    assert [type(outcome) for outcome in outcomes] == [PageText, PageText, Corrupt, PageText]


@pytest.mark.parametrize("limit", [1_000, 60_000_000], ids=["too many pixels", "damaged"])
def test_images_of_a_call_that_failed_do_not_stay_in_memory(limit: int, monkeypatch: pytest.MonkeyPatch):
    """The garbage collector rests while pages are read, so nothing may wait for it."""
    monkeypatch.setattr(read, "_PIXELS_TOGETHER", limit)
    alive: list[weakref.ref[PageImage]] = []

    class Watched(Sizes):
        def image(self, number: int, dpi: float) -> PageImage:
            found = image(number, 10 if number == 1 else 30)
            alive.append(weakref.ref(found))
            if number == 4 and limit > 1_000:
                raise Corrupt("This page is damaged.")
            return found

    with collector_paused():
        list(page_outcomes(Watched([1] * 4), [(number, number) for number in range(1, 5)], NEVER, Engine()))
        # Some were made twice: the first call failed.
        assert len(alive) > 4
        assert [each for each in alive if each() is not None] == []


def test_memory_that_ends_while_an_image_is_made_ends_with_its_page():
    class Short(Sizes):
        def image(self, number: int, dpi: float) -> PageImage:
            if number == 2:
                raise MemoryError
            return super().image(number, dpi)

    outcomes = list(page_outcomes(Short([1, 1, 1]), [(1, 1), (2, 2), (3, 3)], NEVER, Engine()))
    assert [isinstance(outcome, QuireError) for outcome in outcomes] == [False, True, False]
    assert isinstance(outcomes[1], OutOfMemory)
