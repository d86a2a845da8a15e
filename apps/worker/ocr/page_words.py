"""The words of a page's lines, as the contract has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from ocr.control_characters import each_without_controls
from ocr.engines import TextLine
from quire.contracts import Word

_WORDS: Final = TypeAdapter(tuple[Word, ...])
_FIELDS: Final = set(Word.model_fields)
# The setters of what makes an object a model. Of its own assignment, which is forbidden, they know nothing.
_SET_VALUES, _SET_FIELDS, _SET_EXTRA, _SET_PRIVATE = (
    vars(BaseModel)[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def page_words(lines: Sequence[TextLine]) -> tuple[Word, ...]:
    """The words of these lines, in order; `line` is the index of each one's line. Words without characters are none.

    Raises:
        ValidationError: an engine has given a box or a confidence that cannot be.
    """
    # All at once: a page has hundreds, and a call for each takes half as long again.
    fields = _fields(lines)
    for word in fields:
        word["confidence"] = round(word["confidence"], 4)
    return _WORDS.validate_python(fields)


def text_layer_words(lines: Sequence[TextLine]) -> tuple[Word, ...]:
    """`page_words` of lines whose boxes and confidences are right and round, without checking them again.

    Pydantic's check of the boxes would be a sixth of the time that a page takes. Each word is what
    `Word.model_construct` makes, which takes six times as long for each: it looks up every field by its name.
    """
    fields = _fields(lines)
    words = tuple(map(object.__new__, repeat(Word, len(fields))))
    for setter, values in (
        (_SET_VALUES, fields),
        (_SET_FIELDS, repeat(_FIELDS)),
        (_SET_EXTRA, repeat(None)),
        (_SET_PRIVATE, repeat(None)),
    ):
        deque(map(setter, words, values), maxlen=0)
    return words


def _fields(lines: Sequence[TextLine]) -> list[dict[str, Any]]:
    words = list(chain.from_iterable(line.words for line in lines))
    numbers = chain.from_iterable(repeat(index, len(line.words)) for index, line in enumerate(lines))
    texts = each_without_controls([word.text for word in words])
    return [
        {"text": text, "box": word.box, "confidence": word.confidence, "line": number}
        for word, text, number in zip(words, texts, numbers, strict=True)
        if text
    ]
