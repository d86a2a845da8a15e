"""Words of a line that PaddleX divides into letters, numbers, spaces and signs."""

from __future__ import annotations

import pytest

from ocr.engines.base import TextLine, TextWord
from ocr.engines.word_places import with_words
from quire.contracts import Box

LINE: Box = ((100, 50), (300, 60), (300, 90), (100, 80))


def words_of_line(
    text: str, box: Box, confidence: float, pieces: list[str], places: list[list[int]], polygon: Box = LINE
) -> tuple[TextWord, ...]:
    return with_words(TextLine(text, box, confidence), polygon, pieces, places).words


def test_words_are_runs_without_white_space_within_their_line():
    pieces, places = ["2", ". ", "Method", " ", "(", "a", ")"], [
        [104, 0, 110, 9], [112, 0, 118, 9], [140, 0, 200, 9], [205, 0, 210, 9], [220, 0, 225, 9], [230, 0, 240, 9],
        [245, 0, 280, 9],
    ]  # fmt: skip
    words = words_of_line("2. Method (a)", LINE, 0.9, pieces, places)
    assert [word.text for word in words] == ["2.", "Method", "(a)"]
    # The first begins and the last ends with the line, which is not quite level.
    assert words[0].box == ((100, 50), (118, 50.9), (118, 80.9), (100, 80))
    assert words[1].box == ((140, 52), (200, 55), (200, 85), (140, 82))
    assert words[2].box[1:3] == ((300, 60), (300, 90))
    assert {word.confidence for word in words} == {0.9}


def test_a_line_of_one_word_is_that_word():
    (word,) = words_of_line("Ünïcode", LINE, 0.5, ["Ünïcode"], [[1, 2, 3, 4]])
    assert (word.text, word.box) == ("Ünïcode", LINE)


@pytest.mark.parametrize(
    ("text", "pieces", "places"),
    [
        ("read again", ["something", " ", "else"], [[0, 0, 1, 1]] * 3),
        ("a b", ["a", " ", "b"], [[0, 0, 1, 1]] * 2),
        ("a", [], []),
        (" ", [" "], [[0, 0, 1, 1]]),
    ],
)
def test_pieces_of_another_text_are_no_words(text: str, pieces: list[str], places: list[list[int]]):
    assert words_of_line(text, LINE, 0.9, pieces, places) == ()


def test_places_outside_of_the_line_stay_within_it():
    first, second = words_of_line("a b", LINE, 0.9, ["a", " ", "b"], [[-50, 0, 900, 1], [0, 0, 1, 1], [900, 0, 1, 1]])
    assert first.box == LINE
    assert second.box == ((300, 60), (300, 60), (300, 90), (300, 90))


def test_words_of_a_line_that_runs_down_the_page_follow_it():
    polygon: Box = ((50, 100), (80, 100), (80, 300), (50, 300))
    # As PaddleOCR's crop, a quarter to the left, has it: from the upper right corner.
    box: Box = ((80, 100), (80, 300), (50, 300), (50, 100))
    places = [[50, 104, 80, 150], [50, 150, 80, 180], [50, 200, 80, 290]]
    first, last = words_of_line("one two", box, 0.9, ["one", " ", "two"], places, polygon)
    assert first.box == ((80, 100), (80, 150), (50, 150), (50, 100))
    assert last.box == ((80, 200), (80, 300), (50, 300), (50, 200))


def test_words_of_a_line_upside_down_begin_where_it_does():
    polygon: Box = ((100, 50), (300, 50), (300, 80), (100, 80))
    box: Box = ((300, 80), (100, 80), (100, 50), (300, 50))
    # The recogniser saw the line turned: what it read first is written at the right.
    places = [[104, 50, 150, 80], [150, 50, 180, 80], [200, 50, 290, 80]]
    first, last = words_of_line("one two", box, 0.9, ["one", " ", "two"], places, polygon)
    assert first.box == ((300, 80), (250, 80), (250, 50), (300, 50))
    assert last.box == ((200, 80), (100, 80), (100, 50), (200, 50))
