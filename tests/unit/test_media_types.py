"""What a file is, by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire.errors import Empty, UnsupportedMediaType
from quire.media_types import SNIFF_BYTES, sniff, sniff_file

KNOWN = {
    b"%PDF-1.7\n": "application/pdf",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR": "image/png",
    b"\xff\xd8\xff\xe0\0\x10JFIF": "image/jpeg",
    b"\xff\xd8\xff\xe1\0\x10Exif": "image/jpeg",
    b"RIFF\x24\0\0\0WEBPVP8 ": "image/webp",
    b"BM\x36\0\0\0": "image/bmp",
    b"II*\0\x08\0\0\0": "image/tiff",
    b"MM\0*\0\0\0\x08": "image/tiff",
    b"II+\0\x08\0\0\0": "image/tiff",
    b"MM\0+\0\x08\0\0": "image/tiff",
    b"\0\0\0\x18ftypheic": "image/heic",
    b"\0\0\0\x18ftypheix": "image/heic",
    b"\0\0\0\x18ftypmif1": "image/heic",
}


@pytest.mark.parametrize(("head", "media_type"), KNOWN.items())
def test_a_type_is_known_by_its_signature(head, media_type):
    assert sniff(head) == media_type


@pytest.mark.parametrize(
    "head",
    [
        b"GIF89a",
        b"PK\x03\x04",
        b"RIFF\x24\0\0\0WAVE",
        b"\0\0\0\x18ftypisom",
        b"\0\0\0\x18ftypavif",
        b"<html>",
        b"\x89PNG",
        b"II*",
        b"%PDF",
        b"%!PS-Adobe-3.0",
        b"\0",
    ],
)
def test_another_type_is_refused_with_those_there_are(head):
    with pytest.raises(UnsupportedMediaType, match="PDF, PNG, JPEG, WebP, BMP, TIFF and HEIC"):
        sniff(head)


def test_no_bytes_are_an_empty_file():
    with pytest.raises(Empty):
        sniff(b"")


@pytest.mark.parametrize("offset", [0, 1, 512, SNIFF_BYTES - len(b"%PDF-")])
def test_a_pdf_header_may_come_late(offset):
    assert sniff(b"\r" * offset + b"%PDF-1.4") == "application/pdf"


def test_a_pdf_header_after_the_first_kilobyte_is_none():
    with pytest.raises(UnsupportedMediaType):
        sniff(b"\r" * (SNIFF_BYTES - 4) + b"%PDF-1.4")


def test_an_image_that_holds_a_pdf_header_is_an_image():
    assert sniff(b"\x89PNG\r\n\x1a\n" + b"%PDF-1.4") == "image/png"


def test_the_name_of_a_file_is_not_believed(tmp_path: Path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"%PDF-1.4")
    assert sniff_file(path) == "application/pdf"


def test_an_empty_file_is_refused(tmp_path: Path):
    path = tmp_path / "empty.pdf"
    path.touch()
    with pytest.raises(Empty):
        sniff_file(path)


@given(st.binary(max_size=64) | st.builds(bytes.__add__, st.sampled_from(sorted(KNOWN)), st.binary(max_size=16)))
def test_any_bytes_give_a_type_or_a_typed_error(head):
    try:
        assert sniff(head) in set(KNOWN.values())
    except Empty:
        assert not head
    except UnsupportedMediaType:
        assert not head.startswith(tuple(KNOWN))
