"""Characters that no text should have."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def each_without_controls(texts: Sequence[str]) -> list[str]:
    """`without_controls` of each text, which together are quicker to look through."""
    return list(map(str.strip if "".join(texts).isprintable() else without_controls, texts))


def without_controls(text: str) -> str:
    """Without control characters and lone surrogates, which Postgres, JSON and readers do not take; tabs are spaces."""
    if text.isprintable():
        # The only white space that counts as printable is the space.
        return text.strip()
    spaced = "".join(" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cs")).strip()
