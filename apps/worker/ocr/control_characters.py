"""Characters that no text should have."""

from __future__ import annotations

import unicodedata


def without_controls(text: str) -> str:
    """Without control characters and lone surrogates, which Postgres, JSON and readers do not take; tabs are spaces."""
    if text.isprintable():
        # The only white space that counts as printable is the space.
        return text.strip()
    spaced = "".join(" " if character.isspace() else character for character in text)
    return "".join(character for character in spaced if unicodedata.category(character) not in ("Cc", "Cs")).strip()
