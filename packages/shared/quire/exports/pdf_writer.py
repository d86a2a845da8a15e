"""A PDF written from its beginning to its end: nothing of it is held but where each object is."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import BinaryIO, Final

_COMPRESSION: Final = 6


class PdfWriter:
    """Writes objects as they come. A number may be reserved, and referred to, before its object is written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._position = 0
        self._offsets: list[int | None] = []
        # A comment of bytes over 127 tells programs that move files that this is no text.
        self._write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def _write(self, content: bytes) -> None:
        self._out.write(content)
        self._position += len(content)

    def reserve(self) -> int:
        """The number of an object that is written later."""
        self._offsets.append(None)
        return len(self._offsets)

    def add(self, body: str, number: int | None = None) -> int:
        """Write an object; its number."""
        number = number or self.reserve()
        self._begin(number)
        self._write(body.encode("latin-1") + b"\nendobj\n")
        return number

    def add_compressed(self, content: bytes, entries: str = "") -> int:
        """Write a stream of these bytes, deflated; its number. `entries` are further ones of its dictionary."""
        return self.add_stream([zlib.compress(content, _COMPRESSION)], f"/Filter /FlateDecode {entries}")

    def add_stream(self, parts: Iterable[bytes], entries: str) -> int:
        """Write a stream that comes in parts, already encoded as `entries` say; its number."""
        number, length = self.reserve(), self.reserve()
        self._begin(number)
        self._write(f"<< {entries} /Length {length} 0 R >>\nstream\n".encode("latin-1"))
        start = self._position
        for part in parts:
            self._write(part)
        size = self._position - start
        self._write(b"\nendstream\nendobj\n")
        self.add(str(size), length)
        return number

    def _begin(self, number: int) -> None:
        self._offsets[number - 1] = self._position
        self._write(f"{number} 0 obj\n".encode())

    def finish(self, root: int, info: int) -> None:
        """Write the table of objects and the end."""
        start = self._position
        self._write(f"xref\n0 {len(self._offsets) + 1}\n0000000000 65535 f \n".encode())
        for offset in self._offsets:
            self._write(b"0000000000 65535 f \n" if offset is None else f"{offset:010d} 00000 n \n".encode())
        trailer = f"<< /Size {len(self._offsets) + 1} /Root {root} 0 R /Info {info} 0 R >>"
        self._write(f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode())


def text_string(text: str) -> str:
    """Text as a PDF string, in UTF-16."""
    return f"<FEFF{text.encode('utf-16-be', 'replace').hex().upper()}>"
