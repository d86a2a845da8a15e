"""Text as it may stand in XML 1.0."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape

# Everything but the characters of production 2 of XML 1.0; most control characters, lone surrogates, U+FFFE and U+FFFF.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element_text(text: str) -> str:
    """Text between tags; what XML cannot have is left out."""
    return escape(_FORBIDDEN.sub("", text))


def attribute(text: str) -> str:
    """Text between double quotes; line ends and tabs as references, of which a parser makes no spaces."""
    return escape(_FORBIDDEN.sub("", text), {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def comment(text: str) -> str:
    """Text within a comment, where two hyphens may not meet."""
    return re.sub("-(?=-|$)", "- ", _FORBIDDEN.sub("", text))
