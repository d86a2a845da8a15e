"""Text within Markdown, so that it comes out as that very text."""

from __future__ import annotations

import re
from typing import Final

# Between words these have a meaning to CommonMark or to the extensions in use (tables, strikethrough, mathematics,
# footnotes); a backslash before them takes it away. Other punctuation has one only where a line begins.
_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>&|~$^]")
_AT_LINE_START: Final = re.compile(r"(?:[#+=:-]|\d{1,9}(?=[.)]))")


def escape_line(text: str) -> str:
    """One line of text, so that a CommonMark parser gives that very text and no markup."""
    # Spaces at the beginning would make code of it, at the end a line break.
    escaped = _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
    start = _AT_LINE_START.match(escaped)
    if start is None:
        return escaped
    # A number is marked behind it, everything else before.
    at = start.end() if start[0].isdigit() else 0
    return f"{escaped[:at]}\\{escaped[at:]}"
