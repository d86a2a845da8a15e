"""Words that a line's end divides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_HYPHENS: Final = "-\u00ad\u2010"
# A letter and a hyphen end the line, a letter begins the next one: "Pel-" and "lentesque ante".
_DIVIDED: Final = re.compile(rf"(?<=[^\W\d_])[{_HYPHENS}]\n(?P<rest>(?P<first>[^\W\d_])\S*)[ \n]?")


def join_divided_words(rows: Sequence[str]) -> str:
    """The rows of a page as one text, a line each; a divided word is whole, on the line where it begins."""
    text = "\n".join(rows)
    if not any(hyphen + "\n" in text for hyphen in _HYPHENS):
        return text
    return _DIVIDED.sub(_join, text).rstrip("\n")


def _join(divided: re.Match[str]) -> str:
    # A capital letter belongs to a name that has the hyphen anyway.
    return divided["rest"] + "\n" if divided["first"].islower() else divided[0]
