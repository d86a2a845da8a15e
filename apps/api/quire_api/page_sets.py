"""Sets of page numbers as integers, page n in bit n; as text they are ranges: `1-57,60`.

A set of many short runs would be long as ranges. It is written as its bytes in Base64 after a `~`, so that ten thousand
pages, however they lie, stay below the 8 KiB that proxies allow a header.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Iterable, Iterator
from typing import Final

# More than any document has; what comes from outside must not make a number of any size.
GREATEST: Final = 1_000_000
_MOST_RUNS: Final = 100
_RUN: Final = re.compile(r"([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,6}))?", re.ASCII)


def of(numbers: Iterable[int]) -> int:
    """The set of these numbers."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def span(first: int, last: int) -> int:
    """The set of all numbers from `first` to `last`."""
    return (1 << last + 1) - (1 << first)


def runs(bits: int) -> Iterator[tuple[int, int]]:
    """First and last number of each run without a gap, ascending."""
    offset = 0
    while bits:
        start = (bits & -bits).bit_length() - 1
        bits >>= start
        length = (~bits & (bits + 1)).bit_length() - 1
        bits >>= length
        yield offset + start, offset + start + length - 1
        offset += start + length


def numbers(bits: int) -> Iterator[int]:
    """The numbers of a set, ascending."""
    for first, last in runs(bits):
        yield from range(first, last + 1)


def to_text(bits: int) -> str:
    """A set as text; the empty set is empty."""
    if (bits & ~(bits << 1)).bit_count() > _MOST_RUNS:
        raw = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        return "~" + urlsafe_b64encode(raw).decode().rstrip("=")
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs(bits))


def from_text(text: str) -> int:
    """The set that `to_text` wrote.

    Raises:
        ValueError: it did not write this.
    """
    if text.startswith("~"):
        return _from_base64(text[1:])
    bits, reached = 0, 0
    for part in text.split(",") if text else ():
        match = _RUN.fullmatch(part)
        if match is None:
            raise ValueError("no range of pages")
        first, last = int(match[1]), int(match[2] or match[1])
        if not reached < first <= last <= GREATEST:
            raise ValueError("no ascending ranges of pages")
        bits, reached = bits | span(first, last), last
    return bits


def _from_base64(text: str) -> int:
    try:
        raw = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except NoBase64 as error:
        raise ValueError("no Base64") from error
    bits = int.from_bytes(raw, "little")
    if bits & 1 or bits.bit_length() > GREATEST + 1:
        raise ValueError("no page numbers")
    return bits
