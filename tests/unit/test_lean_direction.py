"""Which way the text of a page runs, and that a page that is not held upright is read in the same order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocr.reading_order import read_rows
from ocr.text_direction import text_angle, turned_upright
from quire.contracts import Box

ANGLES = st.floats(-180, 180)
# Length of a line, and by how many degrees its box deviates from the page's direction.
LINES = st.lists(st.tuples(st.floats(60, 600), st.floats(-0.4, 0.4)), min_size=1, max_size=30)


def box(left: float, top: float, width: float, height: float = 12) -> Box:
    return (left, top), (left + width, top), (left + width, top + height), (left, top + height)


def turned(boxes: Sequence[Box], degrees: float, about: tuple[float, float] = (0, 0)) -> list[Box]:
    """The boxes turned clockwise, as they lie on a page whose y axis points down."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = (np.asarray(boxes, float) - about) @ np.asarray([[cosine, sine], [-sine, cosine]]) + about
    return [((a[0], a[1]), (b[0], b[1]), (c[0], c[1]), (d[0], d[1])) for a, b, c, d in moved.tolist()]


def difference(angle: float, other: float) -> float:
    return abs((angle - other + 180) % 360 - 180)


def two_columns() -> list[tuple[str, Box]]:
    """A title, two columns whose lines do not align, and a last line across."""
    page = [("title", box(150, 0, 260, 24)), ("footer", box(20, 400, 500))]
    page += [(f"l{line}", box(20, 50 + 22 * line, 230 - 15 * (line % 3))) for line in range(9)]
    page += [(f"r{line}", box(290, 57 + 25 * line, 230 - 20 * (line % 2))) for line in range(8)]
    return page


def receipt() -> list[tuple[str, Box]]:
    """Items on the left, prices on the right: rows."""
    page = [(f"item{line}", box(20, 30 * line, 90 + 7 * line, 16)) for line in range(8)]
    return page + [(f"price{line}", box(420, 30 * line + 2, 50, 15)) for line in range(8)]


@given(ANGLES, LINES)
@example(180, [(100, 0)])
@example(-180, [(100, 0)])
@example(45, [(100, -0.4), (100, 0.4)])
@example(-135, [(100, -0.4), (90, 0.4), (80, 0.1)])
def test_the_angle_is_found_from_rows_that_are_not_quite_straight(angle, lines):
    boxes = []
    for number, (width, deviation) in enumerate(lines):
        boxes += turned([box(30, 40 * number, width)], angle + deviation)
    found = text_angle(boxes)
    assert -180 <= found <= 180
    assert difference(found, angle) <= 0.5


@given(ANGLES)
def test_stray_lines_that_run_elsewhere_do_not_count(angle):
    boxes = turned([box(0, 30 * row, 400) for row in range(6)], angle)
    stray = turned([box(500, 30 * row, 60) for row in range(6)], angle + 90) + turned([box(0, 300, 80)], angle + 20)
    assert difference(text_angle([*stray, *boxes]), angle) <= 1e-6


def test_no_boxes_have_no_angle():
    assert text_angle([]) == 0
    assert turned_upright([]) == []


def test_boxes_without_a_size_are_no_error():
    points = [box(5, 5, 0, 0), box(9, 9, 0, 0)]
    assert text_angle(points) == 0
    assert read_rows([("a", points[0]), ("b", points[1])]) == [["a"], ["b"]]


@given(ANGLES)
def test_boxes_are_turned_so_that_text_runs_to_the_right(angle):
    boxes = [box(20, 40 * row, 100 + 50 * row) for row in range(5)]
    upright = turned_upright(turned(boxes, angle))
    for (a, b, c, d), original in zip(upright, boxes, strict=True):
        assert difference(math.degrees(math.atan2(b[1] - a[1], b[0] - a[0])), 0) <= 0.2 + 1e-6
        assert math.dist(a, b) == pytest.approx(math.dist(*original[:2]))
        # What lies below a line's top still does.
        assert d[1] > a[1]
        assert c[1] > b[1]
    tops = [quad[0][1] for quad in upright]
    assert tops == sorted(tops)


def test_an_upright_page_is_left_as_it_is():
    boxes = [box(20, 40 * row, 100) for row in range(5)]
    assert turned_upright(boxes) == boxes
    slightly = turned(boxes, 0.1)
    assert turned_upright(slightly) == slightly


@pytest.mark.parametrize("page", [two_columns(), receipt()], ids=["two columns", "receipt"])
@given(angle=ANGLES, about=st.tuples(st.floats(-500, 1500), st.floats(-500, 1500)))
@example(angle=90, about=(0, 0))
@example(angle=180, about=(300, 200))
@example(angle=270 - 360, about=(0, 600))
@example(angle=3.5, about=(0, 0))
@example(angle=-3.5, about=(0, 0))
def test_a_skewed_or_turned_page_is_read_in_the_order_of_the_upright_one(page, angle, about):
    names, boxes = zip(*page, strict=True)
    expected = read_rows(page)
    assert read_rows(list(zip(names, turned(boxes, angle, about), strict=True))) == expected


def test_the_upright_pages_are_read_as_they_should_be():
    columns = [name for row in read_rows(two_columns()) for name in row]
    assert columns == ["title", *(f"l{n}" for n in range(9)), *(f"r{n}" for n in range(8)), "footer"]
    assert read_rows(receipt()) == [[f"item{n}", f"price{n}"] for n in range(8)]


def test_a_note_in_the_margin_that_runs_up_does_not_turn_the_page():
    note = turned([box(0, 0, 200)], -90, (560, 300))[0]
    rows = read_rows([*receipt(), ("note", note)])
    assert next(row for row in rows if "item0" in row)[:2] == ["item0", "price0"]
    assert [name for row in rows for name in row if name != "note"] == [
        name for number in range(8) for name in (f"item{number}", f"price{number}")
    ]
