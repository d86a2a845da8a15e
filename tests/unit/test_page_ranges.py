"""The `pages` option."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire.errors import InvalidPayload, PageOutOfRange
from quire.page_ranges import parse_page_ranges, select_pages

RANGES = st.lists(
    st.tuples(st.integers(1, 60), st.none() | st.integers(0, 40)).map(
        lambda pair: (pair[0], None if pair[1] is None else pair[0] + pair[1])
    ),
    min_size=1,
    max_size=6,
)


def written(ranges: list[tuple[int, int | None]]) -> str:
    return ",".join(
        f"{first}-{'' if last is None else last}" if last != first else f"{first}" for first, last in ranges
    )


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("7", [(7, 7)]),
        ("1-3,7", [(1, 3), (7, 7)]),
        ("5-", [(5, None)]),
        ("2-2", [(2, 2)]),
        (" 1 - 3 , 7 ", [(1, 3), (7, 7)]),
        ("9999999", [(9_999_999, 9_999_999)]),
    ],
)
def test_a_range_is_parsed(text, ranges):
    assert parse_page_ranges(text) == ranges


@pytest.mark.parametrize("text", ["", ",", "1,", "0", "0-3", "-3", "1--3", "1-2-3", "a", "1.5", "١", "01", "1;2", "+1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InvalidPayload):
        parse_page_ranges(text)


def test_a_forgotten_comma_is_refused_and_does_not_join_the_numbers():
    with pytest.raises(InvalidPayload):
        parse_page_ranges("1 2")


def test_a_number_of_eight_digits_is_refused():
    with pytest.raises(InvalidPayload):
        parse_page_ranges("10000000")


def test_a_range_that_runs_backwards_is_refused():
    with pytest.raises(InvalidPayload, match="backwards"):
        parse_page_ranges("7-3")


def test_the_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(InvalidPayload) as refused:
        parse_page_ranges("1,hunter2")
    assert "hunter2" not in refused.value.message


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused_by_the_typed_error(text):
    try:
        ranges = parse_page_ranges(text)
    except InvalidPayload:
        return
    assert ranges
    assert all(first >= 1 and (last is None or last >= first) for first, last in ranges)


@given(RANGES)
def test_what_is_written_is_parsed_back(ranges):
    assert parse_page_ranges(written(ranges)) == ranges


def test_no_ranges_select_every_page():
    assert select_pages(None, 4) == [1, 2, 3, 4]


def test_pages_are_selected_ascending_and_once():
    assert select_pages("3,1-2,2-3", 5) == [1, 2, 3]


def test_a_range_may_reach_past_the_end():
    assert select_pages("3-9", 4) == [3, 4]


def test_an_open_range_ends_with_the_document():
    assert select_pages("3-", 5) == [3, 4, 5]


@pytest.mark.parametrize("ranges", ["6", "6-", "7-9,6"])
def test_a_selection_of_nothing_is_out_of_range(ranges):
    with pytest.raises(PageOutOfRange, match="5 page"):
        select_pages(ranges, 5)


def test_the_page_number_goes_before_the_ranges():
    assert select_pages("1-2", 5, page_number=4) == [4]


def test_a_page_number_past_the_end_is_out_of_range():
    with pytest.raises(PageOutOfRange):
        select_pages(None, 5, page_number=6)


@given(RANGES, st.integers(1, 80))
def test_the_selection_is_what_the_ranges_say_within_the_document(ranges, page_count):
    expected = [
        page for page in range(1, page_count + 1) if any(a <= page and (b is None or page <= b) for a, b in ranges)
    ]
    if expected:
        assert select_pages(written(ranges), page_count) == expected
    else:
        with pytest.raises(PageOutOfRange):
            select_pages(written(ranges), page_count)
