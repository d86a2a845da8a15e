"""Ways to damage a file. Each takes its bytes, another file's bytes and the dice, and gives the damaged bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

Mutation = Callable[[bytes, bytes, Random], bytes]

_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?")
_KEY: Final = re.compile(rb"/[A-Za-z]\w*")
_EXTREMES: Final = (
    *(b"0", b"-1", b"1", b"2", b"255", b"256", b"65535", b"65536", b"2147483647", b"-2147483648", b"4294967295"),
    *(
        b"9223372036854775807",
        b"1" + b"0" * 38,
        b"0.0000001",
        b"-99999.5",
        b"1e400",
        b"NaN",
        b"",
        b"()",
        b"[]",
        b"null",
    ),
)
# Where formats keep sizes and offsets: runs of these read as the least, the most, and the sign.
_EXTREME_BYTES: Final = (b"\0", b"\xff", b"\x7f", b"\x80", b"\x01")


def flip_bits(content: bytes, other: bytes, dice: Random) -> bytes:
    """Turn up to 20 single bits over."""
    damaged = bytearray(content)
    for _ in range(dice.randint(1, 20)):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def overwrite_run(content: bytes, other: bytes, dice: Random) -> bytes:
    """Put random bytes, or one extreme byte again and again, over some in a row."""
    start = dice.randrange(len(content))
    length = min(_length(dice), len(content) - start)
    run = dice.randbytes(length) if dice.random() < 0.5 else dice.choice(_EXTREME_BYTES) * length
    return content[:start] + run + content[start + length :]


def cut_off(content: bytes, other: bytes, dice: Random) -> bytes:
    """Leave out the end."""
    return content[: dice.randrange(1, len(content))] if len(content) > 1 else content


def repeat_block(content: bytes, other: bytes, dice: Random) -> bytes:
    """Say some bytes several times."""
    start, end = _block(content, dice)
    return content[:end] + content[start:end] * dice.randint(1, 9) + content[end:]


def swap_blocks(content: bytes, other: bytes, dice: Random) -> bytes:
    """Exchange two stretches of bytes."""
    a, b, c, d = sorted(dice.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def remove_block(content: bytes, other: bytes, dice: Random) -> bytes:
    """Leave out some bytes in the middle."""
    start, end = _block(content, dice)
    return content[:start] + content[end:] or content


def exaggerate_numbers(content: bytes, other: bytes, dice: Random) -> bytes:
    """Put extreme numbers in place of written ones, as PDFs have them."""
    found = list(_NUMBER.finditer(content))
    chosen = dice.sample(found, min(dice.randint(1, 5), len(found)))
    for match in sorted(chosen, key=re.Match.start, reverse=True):
        content = content[: match.start()] + dice.choice(_EXTREMES) + content[match.end() :]
    return content


def swap_keys(content: bytes, other: bytes, dice: Random) -> bytes:
    """Exchange names with each other: a PDF's values then belong to other keys."""
    found = list(_KEY.finditer(content))
    if len(found) < 2:
        return content
    for _ in range(dice.randint(1, 4)):
        first, second = sorted(dice.sample(found, 2), key=re.Match.start)
        content = (
            content[: first.start()]
            + second.group()
            + content[first.end() : second.start()]
            + first.group()
            + content[second.end() :]
        )
        found = list(_KEY.finditer(content))
    return content


def splice(content: bytes, other: bytes, dice: Random) -> bytes:
    """The start of one file and the end of another."""
    return content[: dice.randrange(1, len(content) + 1)] + other[dice.randrange(len(other)) :]


def insert_other(content: bytes, other: bytes, dice: Random) -> bytes:
    """A stretch of another file in the middle."""
    place = dice.randrange(len(content) + 1)
    start, end = _block(other, dice)
    return content[:place] + other[start:end] + content[place:]


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bits,
    overwrite_run,
    cut_off,
    repeat_block,
    swap_blocks,
    remove_block,
    exaggerate_numbers,
    swap_keys,
    splice,
    insert_other,
)


def _length(dice: Random) -> int:
    """Mostly a few bytes, at times thousands."""
    return int(2 ** dice.uniform(0, 12))


def _block(content: bytes, dice: Random) -> tuple[int, int]:
    start = dice.randrange(len(content))
    return start, min(start + _length(dice), len(content))
