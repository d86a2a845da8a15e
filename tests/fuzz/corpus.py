"""The files that are damaged: small ones of every format, made here, and real ones where there are some."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Final

import pillow_heif
from PIL import Image

from quire.cli.samples import sample_pdf
from tests.unit.pdf_files import Page, mark, stream, text, write_pdf

# Larger ones take longer than they show.
MAX_BYTES: Final = 300_000
_REAL: Final = (".pdf", ".png", ".jpg", ".tiff")

pillow_heif.register_heif_opener()


def corpus(folder: Path) -> dict[str, bytes]:
    """Content by name: what is made here, then the small files under a folder, in an order that does not change."""
    real = sorted(path for path in folder.glob("**/*") if path.suffix in _REAL and path.stat().st_size <= MAX_BYTES)
    return _images() | _pdfs() | {path.name: path.read_bytes() for path in real}


def _images() -> dict[str, bytes]:
    return {
        "png": _image("PNG"),
        "png-palette": _image("PNG", "P"),
        "png-alpha": _image("PNG", "RGBA"),
        "png-16-bit": _image("PNG", "I;16"),
        "jpeg": _image("JPEG"),
        "jpeg-progressive": _image("JPEG", progressive=True),
        "jpeg-inks": _image("JPEG", "CMYK"),
        "webp": _image("WEBP"),
        "webp-lossless": _image("WEBP", "RGBA", lossless=True),
        "bmp": _image("BMP"),
        "bmp-palette": _image("BMP", "P"),
        "tiff": _image("TIFF"),
        "tiff-lzw": _image("TIFF", compression="tiff_lzw"),
        "tiff-deflate": _image("TIFF", compression="tiff_adobe_deflate"),
        "tiff-fax": _image("TIFF", "1", compression="group4", dpi=(204, 98)),
        "tiff-float": _image("TIFF", "F"),
        "tiff-pages": _image("TIFF", save_all=True, append_images=[Image.new("L", (20, 30), 99)] * 3),
        "heic": _image("HEIF"),
    }


def _image(kind: str, mode: str = "RGB", **options: object) -> bytes:
    shades = Image.linear_gradient("L").resize((48, 40))
    picture = shades.convert("I").point(lambda shade: shade * 257).convert("I;16") if mode == "I;16" else None
    buffer = io.BytesIO()
    (picture or shades.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def _pdfs() -> dict[str, bytes]:
    words = text("Hello there", 20, 40) + text("and again", 20, 70, turn=(0, 1)) + mark(60, 60)
    shown = words + b"q 90 0 0 60 80 20 cm /X1 Do Q"
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (n) /V (Hi) /F 4 /Rect [20 20 90 60] /DA (/Helv 9 Tf 0 g) >>"
    form = stream(words, b"/Type /XObject /Subtype /Form /BBox [0 0 200 100] /Matrix [1 0 0 1 5 5]")
    return {
        "pdf": write_pdf([Page(words, rotate=90), Page(words, crop_box=(10, 10, 150, 90))]),
        "pdf-sample": sample_pdf(),
        "pdf-form": write_pdf([Page(b"q /X1 Do Q")], [form]),
        "pdf-field": write_pdf([Page(words, entries=b"/Annots [4 0 R]")], [field], b"/AcroForm << /Fields [4 0 R] >>"),
        "pdf-deflate": write_pdf([Page(shown)], [_picture(b"/FlateDecode", zlib.compress(bytes(48 * 40 * 3)))]),
        "pdf-jpeg": write_pdf([Page(shown)], [_picture(b"/DCTDecode", _image("JPEG"))]),
        "pdf-jpeg2000": write_pdf([Page(shown)], [_picture(b"/JPXDecode", _image("JPEG2000"))]),
    }


def _picture(filter_name: bytes, data: bytes) -> bytes:
    size = b"/Width 48 /Height 40 /BitsPerComponent 8 /ColorSpace /DeviceRGB"
    return stream(data, b"/Type /XObject /Subtype /Image %s /Filter %s" % (size, filter_name))
