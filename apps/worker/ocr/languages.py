"""Languages: PaddleOCR's codes, the usual spellings of them, and how hints join the default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# What people write besides PaddleOCR's own codes.
_ALIASES: Final = {
    "arabic": "ar",
    "chinese": "ch",
    "de": "german",
    "deu": "german",
    "eng": "en",
    "english": "en",
    "fra": "fr",
    "french": "fr",
    "greek": "el",
    "italian": "it",
    "ja": "japan",
    "japanese": "japan",
    "ko": "korean",
    "portuguese": "pt",
    "russian": "ru",
    "spa": "es",
    "spanish": "es",
    "zh": "ch",
    "zh_hant": "chinese_cht",
    "zh_hk": "chinese_cht",
    "zh_tw": "chinese_cht",
}
# Codes whose second part is no region.
_COMPOUND: Final = frozenset({"chinese_cht", "rs_cyrillic", "rs_latin", *_ALIASES})


def language_code(language: str) -> str:
    """PaddleOCR's code for a language; a region that does not change the script is dropped (`en-US` is `en`)."""
    code = language.strip().lower().replace("-", "_")
    if code not in _COMPOUND:
        code = code.partition("_")[0].strip()
    return _ALIASES.get(code, code)


def merge_languages(default: str, hints: Iterable[str]) -> tuple[str, ...]:
    """The codes of the hints and then of the default language, each once."""
    return tuple(dict.fromkeys(code for code in map(language_code, (*hints, default)) if code))
