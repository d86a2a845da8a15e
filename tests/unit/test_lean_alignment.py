"""CTC decoding of the lean engine: which characters, and where its words begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr.engines.lean.alignment import Steps, confidence_of, decode, text_of, words

CHARACTERS = ("", "a", "b", "c", " ")
BLANK, A, B, C, SPACE = range(5)
PROBABILITIES = st.floats(0, 1, width=32)


def steps(best: Sequence[int], score: Sequence[float] | None = None, space: Sequence[float] | None = None) -> Steps:
    count = len(best)
    return Steps(
        np.asarray(best, np.int64),
        np.asarray([0.9] * count if score is None else score, np.float32),
        np.asarray([0.0] * count if space is None else space, np.float32),
        np.zeros((count, 1), np.float32),
        CHARACTERS,
    )


@st.composite
def any_steps(draw: st.DrawFn) -> Steps:
    best = draw(st.lists(st.integers(0, 4), max_size=40))
    probabilities = st.lists(PROBABILITIES, min_size=len(best), max_size=len(best))
    return steps(best, draw(probabilities), draw(probabilities))


@pytest.mark.parametrize(
    ("best", "text"),
    [
        ([], ""),
        ([BLANK, BLANK], ""),
        ([A], "a"),
        ([A, A, A], "a"),
        ([A, BLANK, A], "aa"),
        ([A, A, BLANK, BLANK, A, A], "aa"),
        ([A, B, A], "aba"),
        ([BLANK, A, A, B, BLANK, B, C, BLANK], "abbc"),
        ([A, SPACE, SPACE, B], "a b"),
        ([A, SPACE, BLANK, SPACE, B], "a  b"),
    ],
)
def test_runs_are_one_character_and_the_blank_separates(best, text):
    assert text_of(decode(steps(best), 0.5)) == text


def test_a_character_knows_its_run_and_where_it_is_surest():
    (first, second) = decode(steps([BLANK, A, A, A, BLANK, B], [0.9, 0.5, 0.8, 0.6, 0.9, 0.7]), 0.5)
    assert (first.first, first.last, first.peak, second.first, second.last, second.peak) == (1, 3, 2, 5, 5, 5)
    assert (first.score, second.score) == pytest.approx((0.8, 0.7))


@pytest.mark.parametrize(("likely", "text"), [(0.14, "ab"), (0.15, "a b"), (0.9, "a b")])
def test_a_likely_space_between_two_characters_is_read_from_the_threshold_on(likely, text):
    found = decode(steps([A, BLANK, BLANK, BLANK, B], space=[0, 0, likely, 0.1, 0]), float(np.float32(0.15)))
    assert text_of(found) == text
    if text == "a b":
        assert (found[1].first, found[1].last, found[1].peak) == (2, 2, 2)
        assert found[1].score == pytest.approx(likely)


@pytest.mark.parametrize(
    "best",
    [[A, A, B], [BLANK, A, B, BLANK], [BLANK, A, A, BLANK]],
    ids=["no step between", "before and after", "only one character"],
)
def test_no_space_is_read_where_nothing_lies_between_two_characters(best):
    assert " " not in text_of(decode(steps(best, space=[0.9] * len(best)), 0.15))


@pytest.mark.parametrize("best", [[A, BLANK, SPACE, BLANK, B], [SPACE, BLANK, A], [A, BLANK, SPACE]])
def test_a_space_that_was_read_gets_no_second_beside_it(best):
    assert text_of(decode(steps(best, space=[0.9] * len(best)), 0.15)).count(" ") == 1


def test_confidence_is_the_mean_over_what_is_not_space():
    found = decode(steps([A, SPACE, B], [0.8, 0.1, 0.6]), 0.5)
    assert confidence_of(found) == pytest.approx(0.7)
    assert confidence_of([]) == 0
    assert confidence_of(decode(steps([SPACE]), 0.5)) == 0


def test_a_word_reaches_half_a_character_beyond_its_own_and_no_wide_space_is_in_it():
    #                   0  1      2  3      4      5      6      7  8
    found = decode(steps([A, BLANK, B, BLANK, SPACE, BLANK, BLANK, C, BLANK]), 0.5)
    first, second = words(found, 9)
    assert (first.text, second.text) == ("ab", "c")
    # Characters are two steps apart: half of that on either side of their middle, a little more before, and not before
    # the line.
    assert (first.start, first.end) == (0, 3.5)
    assert second.start == pytest.approx(5.8)
    assert second.end == 8.5


def test_a_word_begins_after_the_space_before_it():
    _, second = words(decode(steps([A, BLANK, B, SPACE, C]), 0.5), 5)
    assert second.start == 3.5


def test_a_word_ends_with_the_line():
    (word,) = words(decode(steps([BLANK, A, BLANK, BLANK, BLANK, B]), 0.5), 5.25)
    assert word.end == 5.25


@given(any_steps(), PROBABILITIES)
def test_what_is_decoded_has_no_blanks_and_its_steps_increase(line, threshold):
    found = decode(line, threshold)
    assert all(character.text in CHARACTERS[1:] for character in found)
    assert all(character.first <= character.peak <= character.last for character in found)
    assert all(a.last < b.first for a, b in pairwise(found))
    assert 0 <= confidence_of(found) <= 1 + 1e-6


@given(any_steps(), PROBABILITIES, st.floats(0.05, 1))
def test_words_are_the_text_without_its_spaces_side_by_side_within_the_line(line, threshold, share):
    found = decode(line, threshold)
    length = len(line.best) * share
    spans = words(found, length)
    assert " ".join(span.text for span in spans) == " ".join(text_of(found).split())
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= length for edge in edges)


@given(any_steps(), PROBABILITIES)
def test_every_word_of_a_whole_line_has_a_width_and_covers_its_characters_middles(line, threshold):
    found = decode(line, threshold)
    inked = [character for character in found if character.text != " "]
    for span in words(found, len(line.best)):
        members, inked = inked[: len(span.text)], inked[len(span.text) :]
        assert span.start < span.end
        assert all(span.start <= (c.first + c.last + 1) / 2 <= span.end for c in members)
