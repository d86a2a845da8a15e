"""PDF files written by hand, byte for byte what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Page:
    """One page. `content` is its content stream; the fonts are F1 (Helvetica), and `font` as F2."""

    content: bytes = b""
    media_box: Rectangle = (0, 0, 200, 100)
    crop_box: Rectangle | None = None
    rotate: int = 0
    entries: bytes = b""


def write_pdf(
    pages: Sequence[Page], objects: Sequence[bytes] = (), catalog: bytes = b"", trailer: bytes = b""
) -> bytes:
    """A PDF of these pages. `objects` are further ones, numbered from 4."""
    first_page = 4 + len(objects)
    numbers = range(first_page, first_page + 2 * len(pages), 2)
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R " + catalog + b" >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{n} 0 R' for n in numbers)}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        *objects,
    ]
    for number, page in zip(numbers, pages, strict=True):
        bodies += [_page(page, number + 1), stream(page.content)]
    return write_objects(bodies, trailer)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def mark(x: float, y: float, side: float = 4) -> bytes:
    """A black square with its centre at (x, y)."""
    return f"0 g {x - side / 2} {y - side / 2} {side} {side} re f\n".encode()


def text(words: str, x: float, y: float, size: float = 20, turn: tuple[int, int] = (1, 0), mode: int = 0) -> bytes:
    """Words in Helvetica from (x, y) in the direction `turn`."""
    a, b = turn
    return f"BT {mode} Tr /F1 {size} Tf {a} {b} {-b} {a} {x} {y} Tm ({words}) Tj ET\n".encode("latin-1")


def _page(page: Page, content: int) -> bytes:
    boxes = f"/MediaBox [{' '.join(map(str, page.media_box))}]"
    if page.crop_box is not None:
        boxes += f" /CropBox [{' '.join(map(str, page.crop_box))}]"
    return (
        (
            f"<< /Type /Page /Parent 2 0 R {boxes} /Rotate {page.rotate} /Contents {content} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> /XObject << /X1 4 0 R >> >> "
        ).encode()
        + page.entries
        + b" >>"
    )


def write_objects(bodies: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalog."""
    file = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(bodies) + 1, len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n" % (size, table)
    file += b"<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(file)
