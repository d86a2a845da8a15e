"""Divides a document into windows that fit into a model's context.

Tokens are estimated from characters, on the safe side: a model's own tokenizer would be a download.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from quire.settings import Settings

# Of Latin text a token is about four characters; numbers and names have shorter ones. Other scripts have about one.
_ASCII_PER_TOKEN: Final = 3.0
_OTHERS_PER_TOKEN: Final = 1.0
# The instructions, the schema, and what a server adds of its own.
_OVERHEAD_TOKENS: Final = 1500
_PAGE_TOKENS: Final = 24
# A context that is too small for its own instructions still gets a few lines at a time.
_LEAST_TOKENS: Final = 300


@dataclass(frozen=True)
class Part:
    """Characters `start` to `end` of a page's text."""

    page_number: int
    start: int
    end: int


@dataclass(frozen=True)
class Window:
    """Neighbouring pages, or parts of pages, that are asked about together. `tokens` is an estimate.

    `digest` is the SHA-256 of its page numbers and text as hex; empty for a part of a window.
    """

    parts: tuple[Part, ...]
    tokens: int
    digest: str = ""

    @property
    def first_page(self) -> int:
        """The number of its first page."""
        return self.parts[0].page_number

    @property
    def last_page(self) -> int:
        """The number of its last page."""
        return self.parts[-1].page_number


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has; seldom more."""
    ascii_count = sum(map(str.isascii, text))
    return int(ascii_count / _ASCII_PER_TOKEN + (len(text) - ascii_count) / _OTHERS_PER_TOKEN) + 1


def window_tokens(settings: Settings) -> int:
    """How many tokens of text one request may have."""
    free = settings.quire_llm_context_tokens - settings.quire_llm_output_tokens - _OVERHEAD_TOKENS
    return max(_LEAST_TOKENS, free)


def plan_windows(texts: Iterable[tuple[int, str]], most: int) -> list[Window]:
    """Windows of at most `most` tokens over pages, given as numbers and texts in order; over those that have text.

    Equal texts give equal windows. A page too long for one is divided between lines, and a line where it must be.
    """
    windows: list[Window] = []
    parts: list[Part] = []
    tokens, digest = 0, sha256()
    for part, cost, text in _parts(texts, most):
        if parts and tokens + cost > most:
            windows.append(Window(tuple(parts), tokens, digest.hexdigest()))
            parts, tokens, digest = [], 0, sha256()
        parts.append(part)
        tokens += cost
        digest.update(f"{part.page_number}\0{len(text)}\0{text}".encode("utf-8", "replace"))
    if parts:
        windows.append(Window(tuple(parts), tokens, digest.hexdigest()))
    return windows


def halves(window: Window, texts: dict[int, str]) -> tuple[Window, Window] | None:
    """A window as two of about half its length; None where it cannot be divided."""
    most = window.tokens // 2 + _PAGE_TOKENS
    if window.tokens <= 2 * _PAGE_TOKENS:
        return None
    pieces: list[tuple[Part, int]] = []
    for part in window.parts:
        text = texts[part.page_number][part.start : part.end]
        for piece, cost in _pieces(part.page_number, text, most):
            pieces.append((Part(piece.page_number, part.start + piece.start, part.start + piece.end), cost))
    if len(pieces) < 2:
        return None
    cut, tokens = 1, pieces[0][1]
    while cut < len(pieces) - 1 and tokens + pieces[cut][1] <= most:
        tokens += pieces[cut][1]
        cut += 1
    first, second = pieces[:cut], pieces[cut:]
    return _window(first), _window(second)


def _window(pieces: list[tuple[Part, int]]) -> Window:
    return Window(tuple(part for part, _ in pieces), sum(cost for _, cost in pieces))


def _parts(texts: Iterable[tuple[int, str]], most: int) -> Iterator[tuple[Part, int, str]]:
    for number, text in texts:
        if text.strip():
            for part, cost in _pieces(number, text, most):
                yield part, cost, text[part.start : part.end]


def _pieces(number: int, text: str, most: int) -> Iterator[tuple[Part, int]]:
    """A page as parts of at most `most` tokens with the tokens of each."""
    whole = estimate_tokens(text) + _PAGE_TOKENS
    if whole <= most:
        yield Part(number, 0, len(text)), whole
        return
    start = end = 0
    tokens = _PAGE_TOKENS
    for line_end in _line_ends(text, max(1, int((most - _PAGE_TOKENS) * _OTHERS_PER_TOKEN))):
        cost = estimate_tokens(text[end:line_end])
        if end > start and tokens + cost > most:
            yield Part(number, start, end), tokens
            start, tokens = end, _PAGE_TOKENS
        end = line_end
        tokens += cost
    yield Part(number, start, end), tokens


def _line_ends(text: str, longest: int) -> Iterator[int]:
    """Where lines end; a line of more than `longest` characters ends several times."""
    start = 0
    while start < len(text):
        newline = text.find("\n", start)
        end = len(text) if newline < 0 else newline + 1
        while end - start > longest:
            start += longest
            yield start
        if end > start:
            yield end
        start = end
