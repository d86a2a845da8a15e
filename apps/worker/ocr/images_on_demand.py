"""Page images that are rendered or decoded while an engine already works on the first of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from quire.pages import PageImage


class TooManyPixels(Exception):
    """The images together are larger than what may be in memory at once."""


class ImagesOnDemand(Sequence[PageImage]):
    """A first image and others that are each made when they are first asked for, and kept.

    An engine that takes them one by one and begins with the first at once has the others made while it works. They are
    made on the thread that asks: engines ask on the one they are called on, before they hand an image to others.

    Raises, when an image is asked for:
        TooManyPixels: with it they would have more than `most_pixels` together.
        Whatever its maker raises.
    """

    def __init__(self, first: PageImage, others: Sequence[Callable[[], PageImage]], most_pixels: int) -> None:
        self._others = others
        self._most_pixels = most_pixels
        self._made = {0: first}

    def __len__(self) -> int:
        return 1 + len(self._others)

    @overload
    def __getitem__(self, index: int) -> PageImage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PageImage]: ...
    def __getitem__(self, index: int | slice) -> PageImage | Sequence[PageImage]:
        places = range(len(self))[index]
        if isinstance(places, int):
            return self._image(places)
        # All of them, still on demand; a part is wanted now.
        return self if places == range(len(self)) else [self._image(place) for place in places]

    def _image(self, place: int) -> PageImage:
        if place not in self._made:
            image = self._others[place - 1]()
            if sum(each.width * each.height for each in [image, *self._made.values()]) > self._most_pixels:
                raise TooManyPixels
            self._made[place] = image
        return self._made[place]
