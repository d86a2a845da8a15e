"""JSON that Postgres only keeps: compressed by whoever writes it.

Postgres would take the numbers apart, store them larger, and compress that more slowly, on the one machine that cannot
be multiplied; workers can. See docs/scaling.md for what it saves.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

# Enough to halve the size four times over; higher levels take several times as long for a tenth.
_LEVEL: Final = 1
# Below this many bytes there is nothing to gain.
_LEAST_BYTES: Final = 100
# No JSON array or object begins with it, every zlib stream of this kind does: rows may hold either.
_ZLIB: Final = 0x78


def compress(content: bytes) -> bytes:
    """JSON as it is stored."""
    return zlib.compress(content, _LEVEL) if len(content) >= _LEAST_BYTES else content


def decompress(stored: bytes) -> bytes:
    """The JSON that was stored, compressed or not."""
    return zlib.decompress(stored) if stored[:1] == bytes((_ZLIB,)) else stored


class CompressedJson(TypeDecorator[Any]):
    """A JSON array or object in a `bytea` column; SQL sees bytes, Python the value."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return compress(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(decompress(value))
