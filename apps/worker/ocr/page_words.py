"""The words of a page's lines, as the contract has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from ocr.control_characters import without_controls
from ocr.engines import TextLine
from quire.contracts import Word

_WORDS: Final = TypeAdapter(tuple[Word, ...])
_FIELDS: Final = set(Word.model_fields)


def page_words(lines: Sequence[TextLine]) -> tuple[Word, ...]:
    """The words of these lines, in order; `line` is the index of each one's line. Words without characters are none.

    Raises:
        ValidationError: an engine has given a box or a confidence that cannot be.
    """
    # All at once: a page has hundreds, and a call for each takes half as long again.
    return _WORDS.validate_python(list(_fields(lines)))


def text_layer_words(lines: Sequence[TextLine]) -> tuple[Word, ...]:
    """`page_words` of lines whose boxes and confidences are known to be right, without checking them again.

    Pydantic's check of the boxes would be a sixth of the time that a page takes.
    """
    return tuple(map(_unchecked, _fields(lines)))


def _fields(lines: Sequence[TextLine]) -> Iterator[dict[str, Any]]:
    for index, line in enumerate(lines):
        for word in line.words:
            if text := without_controls(word.text):
                yield {"text": text, "box": word.box, "confidence": round(word.confidence, 4), "line": index}


def _unchecked(fields: dict[str, Any]) -> Word:
    """`Word.model_construct(**fields)`, which looks up each field by its name and takes three times as long."""
    word = Word.__new__(Word)
    # As there: past the model's own assignment, which is forbidden.
    object.__setattr__(word, "__dict__", fields)
    object.__setattr__(word, "__pydantic_fields_set__", _FIELDS)
    object.__setattr__(word, "__pydantic_extra__", None)
    object.__setattr__(word, "__pydantic_private__", None)
    return word
