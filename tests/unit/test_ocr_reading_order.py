"""Reading order: columns, rows, left to right."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from ocr.reading_order import read_rows
from quire.contracts import Box

COORDINATES = st.floats(-100, 5000, allow_nan=False) | st.integers(0, 20).map(float)
BOXES = st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES, COORDINATES), max_size=40)


def box(left: float, top: float, width: float, height: float = 12) -> Box:
    return (left, top), (left + width, top), (left + width, top + height), (left, top + height)


def read(*items: tuple[str, Box]) -> list[list[str]]:
    """The rows, whatever order the items come in."""
    rows = read_rows(items)
    shuffled = list(items)
    random.Random(7).shuffle(shuffled)
    assert read_rows(shuffled) == rows
    return rows


def column(
    name: str, left: float, top: float, lines: int, width: float = 200, step: float = 20
) -> list[tuple[str, Box]]:
    return [(f"{name}{line}", box(left, top + line * step, width)) for line in range(lines)]


def words(rows: list[list[str]]) -> str:
    return " / ".join(" ".join(row) for row in rows)


def test_nothing_has_no_rows():
    assert read_rows([]) == []


def test_one_line_is_one_row():
    assert read(("a", box(0, 0, 10))) == [["a"]]


def test_lines_are_read_from_top_to_bottom():
    assert words(read(*column("a", 0, 0, 4))) == "a0 / a1 / a2 / a3"


def test_what_lies_side_by_side_is_one_row_from_left_to_right():
    assert words(read(("c", box(200, 1, 50)), ("a", box(0, 0, 50)), ("b", box(100, 2, 50)))) == "a b c"


def test_a_row_may_slope():
    sloping = [(str(number), box(number * 60, number * 4, 50)) for number in range(6)]
    assert words(read(*sloping)) == "0 1 2 3 4 5"


def test_lines_that_touch_are_two_rows():
    assert words(read(("a", box(0, 0, 100, 20)), ("b", box(0, 17, 100, 20)))) == "a / b"


def test_two_columns_under_a_title_are_read_one_after_the_other():
    page = [("title", box(0, 0, 420, 24)), *column("l", 0, 50, 5), *column("r", 220, 50, 5)]
    assert words(read(*page)) == "title / l0 / l1 / l2 / l3 / l4 / r0 / r1 / r2 / r3 / r4"


def test_two_columns_whose_lines_do_not_align_are_read_one_after_the_other():
    page = [*column("l", 0, 0, 5), *column("r", 220, 9, 5, step=23)]
    assert words(read(*page)) == "l0 / l1 / l2 / l3 / l4 / r0 / r1 / r2 / r3 / r4"


def test_three_columns_are_read_one_after_the_other():
    page = [*column("a", 0, 0, 3), *column("b", 220, 0, 3), *column("c", 440, 0, 3)]
    assert words(read(*page)) == "a0 / a1 / a2 / b0 / b1 / b2 / c0 / c1 / c2"


def test_three_columns_under_a_title_are_read_one_after_the_other():
    page = [("title", box(0, 0, 640, 24)), *column("a", 0, 50, 4), *column("b", 220, 50, 4), *column("c", 440, 50, 4)]
    assert words(read(*page)) == "title / a0 / a1 / a2 / a3 / b0 / b1 / b2 / b3 / c0 / c1 / c2 / c3"


def test_a_receipt_with_quantities_and_prices_is_read_row_by_row():
    page = []
    for row, width in enumerate((110, 150, 40, 220)):
        page += [
            (f"{row}x", box(0, row * 20, 20)),
            (f"item{row}", box(60, row * 20, width)),
            (f"{row}.50", box(340, row * 20, 40)),
        ]
    assert words(read(*page)) == "0x item0 0.50 / 1x item1 1.50 / 2x item2 2.50 / 3x item3 3.50"


def test_a_note_in_the_margin_does_not_join_the_columns():
    page = [*column("l", 50, 0, 6), *column("r", 270, 0, 6), ("note", box(500, 20, 30))]
    assert words(read(*page)) == "l0 / l1 / l2 / l3 / l4 / l5 / r0 / r1 note / r2 / r3 / r4 / r5"


def test_text_under_the_columns_comes_last():
    page = [*column("l", 0, 0, 4), *column("r", 220, 0, 4), ("foot", box(0, 120, 420))]
    assert words(read(*page)) == "l0 / l1 / l2 / l3 / r0 / r1 / r2 / r3 / foot"


def test_columns_between_titles_stay_with_their_title():
    page = [
        ("one", box(0, 0, 420)),
        *column("a", 0, 30, 3),
        *column("b", 220, 30, 3),
        ("two", box(0, 120, 420)),
        *column("c", 0, 150, 3),
        *column("d", 220, 150, 3),
    ]
    assert words(read(*page)) == "one / a0 / a1 / a2 / b0 / b1 / b2 / two / c0 / c1 / c2 / d0 / d1 / d2"


def test_the_prices_of_a_receipt_stay_with_their_items():
    items = [("flat white", 110), ("cinnamon roll", 150), ("tea", 40), ("sandwich with cheese", 220)]
    page = [
        part
        for row, (name, width) in enumerate(items)
        for part in (
            (name, box(0, row * 20, width)),
            (f"{row}.50", box(300, row * 20, 40)),
        )
    ]
    assert words(read(*page)) == "flat white 0.50 / cinnamon roll 1.50 / tea 2.50 / sandwich with cheese 3.50"


def test_the_cells_of_a_narrow_table_stay_in_their_rows():
    page = [(f"{row}{cell}", box(cell * 90, row * 20, 60)) for row in range(4) for cell in range(4)]
    assert words(read(*page)) == "00 01 02 03 / 10 11 12 13 / 20 21 22 23 / 30 31 32 33"


def test_a_page_of_thousands_of_lines_takes_no_time():
    page = column("a", 0, 0, 6000)
    started = time.perf_counter()
    rows = read_rows(page)
    assert time.perf_counter() - started < 3
    assert [row[0] for row in rows] == [name for name, _ in page]


def test_a_page_of_thousands_of_scattered_words_takes_no_time():
    page = [(str(number), box(number * 40, number * 20, 30, 10)) for number in range(3000)]
    started = time.perf_counter()
    read_rows(page)
    assert time.perf_counter() - started < 3


@given(BOXES)
def test_nothing_is_lost_and_nothing_comes_twice(sides):
    items = [
        (number, ((left, top), (right, top), (right, bottom), (left, bottom)))
        for number, (left, top, right, bottom) in enumerate(sides)
    ]
    rows = read_rows(items)
    assert sorted(number for row in rows for number in row) == list(range(len(sides)))
    assert all(rows)


@given(BOXES)
def test_a_row_runs_from_left_to_right(sides):
    items = [(number, box(min(a, c), min(b, d), abs(c - a), abs(d - b))) for number, (a, b, c, d) in enumerate(sides)]
    lefts = [boundary[0][0] for _, boundary in items]
    for row in read_rows(items):
        assert [lefts[number] for number in row] == sorted(lefts[number] for number in row)


@given(BOXES, st.integers(-500, 500), st.integers(-500, 500))
def test_the_order_does_not_depend_on_where_the_page_begins(sides, right, down):
    def placed(dx: int, dy: int) -> list[list[int]]:
        return read_rows(
            [
                (number, box(round(a) + dx, round(b) + dy, round(abs(c)), round(abs(d))))
                for number, (a, b, c, d) in enumerate(sides)
            ]
        )

    assert placed(right, down) == placed(0, 0)
