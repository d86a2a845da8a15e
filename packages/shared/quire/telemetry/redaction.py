"""Takes secrets out of log lines. Nothing should put them there; this is for the day when something does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from quire.settings import Settings

_SHOWN: Final = "***"
# A shorter secret would take ordinary words out of the text; those in URLs are found by their place.
_SHORTEST: Final = 6

_PATTERNS: Final = (
    # scheme://user:password@host. Tried once for each word, however long: texts come from strangers.
    (re.compile(r"((?<![\w+.-])[\w+.-]+://[^\s:/@]*:)[^\s/@]+(?=@)"), rf"\1{_SHOWN}"),
    # Keys of the API, secrets of webhooks, and what an Authorization header holds.
    (re.compile(r"\b(qk_|whsec_)[\w+/=-]{6,}"), rf"\1{_SHOWN}"),
    (re.compile(r"\b(bearer|basic)(\s+)[\w+/=.~-]{6,}", re.IGNORECASE), rf"\1\2{_SHOWN}"),
)


class Redaction:
    """Replaces the secrets of these settings, and whatever looks like one."""

    def __init__(self, settings: Settings) -> None:
        known = sorted(set(_known_secrets(settings)), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(_SHOWN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _known_secrets(settings: Settings) -> Iterator[str]:
    for _, value in settings:
        for each in value.values() if isinstance(value, dict) else (value,):
            if isinstance(each, SecretStr):
                yield from (secret for secret in _forms(each.get_secret_value()) if len(secret) >= _SHORTEST)


def _forms(secret: str) -> Iterator[str]:
    """The secret part of a setting, as it is written there and as a client library may show it."""
    if "://" not in secret:
        yield secret
        return
    try:
        password = urlsplit(secret).password
    except ValueError:
        # Not a URL after all.
        yield secret
        return
    if password:
        yield password
        yield unquote(password)
