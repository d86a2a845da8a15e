"""What a file is, by its first bytes; names and declared types are not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from quire.errors import Empty, UnsupportedMediaType

PDF: Final = "application/pdf"
TIFF: Final = "image/tiff"
HEIC: Final = "image/heic"

# PDF readers accept the header anywhere in the first 1,024 bytes (ISO 32000-1, annex H, note 13).
SNIFF_BYTES: Final = 1024

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_READABLE = "PDF, PNG, JPEG, WebP, BMP, TIFF and HEIC"


def sniff(head: bytes) -> str:
    """The media type of a file that starts with `head` (its first `SNIFF_BYTES` bytes).

    Raises:
        Empty: there are no bytes.
        UnsupportedMediaType: it is none of the types Quire reads.
    """
    if not head:
        raise Empty("The file is empty. Send a file with at least one page.")
    signatures = (
        (head.startswith(b"\x89PNG\r\n\x1a\n"), "image/png"),
        (head.startswith(b"\xff\xd8\xff"), "image/jpeg"),
        (head[:4] == b"RIFF" and head[8:12] == b"WEBP", "image/webp"),
        (head.startswith(b"BM"), "image/bmp"),
        (head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")), TIFF),
        (head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS, HEIC),
        (b"%PDF-" in head[:SNIFF_BYTES], PDF),
    )
    for matches, media_type in signatures:
        if matches:
            return media_type
    raise UnsupportedMediaType(f"This is no file that can be read. Send one of: {_READABLE}.")


def sniff_file(path: Path) -> str:
    """`sniff` for a file on disk."""
    with path.open("rb") as file:
        return sniff(file.read(SNIFF_BYTES))
