"""The pictures of lines that the lean engine cuts out of a page: how wide they are, and what is on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ocr.engines.lean import crops
from ocr.engines.lean.crops import FIRST_LOOK, LONGEST_LINE, SECOND_LOOK, Frame
from ocr.engines.lean.detection import Quad
from tests.pdfs import Pixels

PAGE: Pixels = np.random.default_rng(1).integers(0, 255, (90, 130, 3), np.uint8)
FRAMES = st.sampled_from((FIRST_LOOK, SECOND_LOOK)) | st.builds(Frame, st.floats(-0.3, 0.45), st.floats(0, 0.5))
SIZES = st.floats(0.01, 400) | st.floats(0.01, 4) | st.integers(1, 200).map(float)


def box(centre: tuple[float, float], size: tuple[float, float], degrees: float) -> Quad:
    """A rectangle turned clockwise about its middle."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = np.asarray([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.asarray(size) / 2
    return np.asarray(corners @ np.asarray([[cosine, sine], [-sine, cosine]]) + centre, np.float32)


@st.composite
def quads(draw: st.DrawFn) -> Quad:
    """Boxes on and beyond the page, upright or turned, some of them skewed, tiny or many times as long as high."""
    centre = draw(st.tuples(st.floats(-20, 150), st.floats(-20, 110)))
    angle = draw(st.sampled_from((0.0, 90.0, 180.0, 270.0)) | st.floats(-180, 180))
    quad = box(centre, draw(st.tuples(SIZES, SIZES)), angle)
    moved = draw(st.just([0.0] * 8) | st.lists(st.floats(-1, 1), min_size=8, max_size=8))
    quad += np.asarray(moved, np.float32).reshape(4, 2)
    assume(max(crops.sides(quad)) > 0)
    return quad


@given(quads(), FRAMES)
@example(box((60, 40), (9000, 3), 0), FIRST_LOOK)
@example(box((60, 40), (9000, 3), 30), FIRST_LOOK)
@example(box((60, 40), (0.01, 0), 0), FIRST_LOOK)
@example(box((60, 40), (0, 0.01), 0), FIRST_LOOK)
@example(box((60, 40), (0.2, 70), 0), SECOND_LOOK)
@example(box((60, 40), (2.5, 1.25), 0), SECOND_LOOK)
def test_a_picture_is_as_wide_as_was_said_before_it_was_cut(quad, frame):
    assert crops.cut(PAGE, quad, frame).shape == (48, crops.picture_width(quad, frame), 3)


@given(quads(), FRAMES)
def test_a_picture_has_a_width_and_is_not_too_long(quad, frame):
    assert 1 <= crops.picture_width(quad, frame) <= LONGEST_LINE


@pytest.mark.parametrize("degrees", [0, 90, 180, 37], ids=str)
@pytest.mark.parametrize(
    ("size", "frame", "width"),
    [
        ((96, 24), Frame(0, 0), 192),
        ((96, 24), Frame(0.5, 0), 144),
        ((96, 24), Frame(-0.5, 0), 240),
        ((96, 24), Frame(0, 0.5), 96),
        # Less than twice as wide as high: nothing is cut off its ends.
        ((36, 24), Frame(0.5, 0), 72),
        ((4800, 24), Frame(0, 0), 3200),
        ((1, 96), Frame(0, 0), 1),
        # In whole pixels of the page first.
        ((10, 2.6), Frame(0, 0), 160),
    ],
    ids=str,
)
def test_a_picture_is_as_wide_as_its_frame_at_the_height_of_a_line(size, frame, width, degrees):
    assert crops.picture_width(box((60, 40), size, degrees), frame) == width
