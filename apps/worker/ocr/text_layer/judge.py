"""Whether the characters of a text layer are those that a person sees."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

# A page with a larger share of characters that stand for nothing is not believed.
MAX_UNREADABLE_SHARE: Final = 0.05
# Running text has few of these. A subset font without a map to Unicode numbers its glyphs from "!" on, so that the most
# frequent letters come out as them, and PDFium sees no error.
MAX_SYMBOL_SHARE: Final = 0.4
_SYMBOLS: Final = frozenset("!\"#$%&'*+<=>@[\\]^`{|}~")
# A font's map with its bytes in the wrong order makes ideographs of Latin letters, such as U+4100 of "A". Chinese text
# has few of just these.
MAX_SWAPPED_SHARE: Final = 0.4
_NOT_CHARACTERS: Final = frozenset({"\ufffd", "\ufffe", "\uffff", "\x00"})


def objection_to_characters(text: str) -> str | None:
    """Why a page's characters, in any order, are not believed; None if they are. White space does not count."""
    distinct = [character for character in set(text) if not character.isspace()]
    if not distinct:
        return "no text layer"
    visible = len("".join(text.split()))
    unreadable = _count(text, filter(_is_unreadable, distinct))
    if unreadable > MAX_UNREADABLE_SHARE * visible:
        return f"{unreadable} of {visible} characters have no Unicode value"
    symbols = _count(text, _SYMBOLS.intersection(distinct))
    if symbols > MAX_SYMBOL_SHARE * visible:
        return f"{symbols} of {visible} characters are symbols: the font does not say which letters they are"
    swapped = _count(text, filter(_is_swapped, distinct))
    if swapped > MAX_SWAPPED_SHARE * visible:
        return f"{swapped} of {visible} characters are Latin letters with their two bytes swapped"
    return None


def _count(text: str, characters: Iterable[str]) -> int:
    return sum(map(text.count, characters))


def _is_swapped(character: str) -> bool:
    low, high = ord(character) & 0xFF, ord(character) >> 8
    return low == 0 and high < 0x80 and chr(high).isalpha()


def _is_unreadable(character: str) -> bool:
    return character in _NOT_CHARACTERS or unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs")
