"""From the words of lines to those of the contract."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ocr.engines import TextLine
from ocr.engines.base import TextWord
from ocr.page_words import page_words, text_layer_words
from quire.contracts import Box, Word


def box(left: float) -> Box:
    return (left, 0.5), (left + 9, 0.5), (left + 9, 9.5), (left, 9.5)


LINES = [
    TextLine("one two", box(0), 1.0, (TextWord("one", box(0), 1.0), TextWord("two", box(20), 0.9877))),
    TextLine("no words", box(0), 1.0),
    TextLine("three", box(0), 1.0, (TextWord("th\0ree", box(40), 1.0), TextWord("\x07", box(60), 1.0))),
]
WORDS = (
    Word(text="one", box=box(0), confidence=1.0, line=0),
    Word(text="two", box=box(20), confidence=0.9877, line=0),
    Word(text="three", box=box(40), confidence=1.0, line=2),
)
BOTH = pytest.mark.parametrize("words_of", [page_words, text_layer_words])


@BOTH
def test_words_keep_their_order_and_name_their_lines(words_of):
    assert words_of(LINES) == WORDS


@BOTH
def test_words_are_whole_contracts(words_of):
    for word, expected in zip(words_of(LINES), WORDS, strict=True):
        assert word.model_fields_set == expected.model_fields_set
        assert word.model_dump_json() == expected.model_dump_json()
        assert word.model_copy(update={"line": 7}).line == 7
        with pytest.raises(ValidationError, match="frozen"):
            word.line = 7


@BOTH
def test_lines_without_words_have_none(words_of):
    assert words_of([]) == words_of([LINES[1]]) == ()


def test_confidences_are_rounded():
    (word,) = page_words([TextLine("one", box(0), 1.0, (TextWord("one", box(0), 0.98765),))])
    assert word.confidence == 0.9877


def test_a_confidence_that_cannot_be_is_refused():
    with pytest.raises(ValidationError, match="confidence"):
        page_words([TextLine("one", box(0), 1.0, (TextWord("one", box(0), 1.5),))])
