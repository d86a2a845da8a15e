"""PDFs that nobody made in good faith: small on disk, large or endless for whoever believes them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from PIL import Image

from quire.cli.samples import sample_pdf
from tests.unit.pdf_files import Page, stream, text, write_objects, write_pdf

GIBIBYTE: Final = 2**30
_DRAWN: Final = b"q 200 0 0 100 0 0 cm /X1 Do Q"
_PASSWORD: Final = b"/O <" + b"11" * 32 + b"> /U <" + b"22" * 32 + b">"


def bomb(piece: bytes, size: int = GIBIBYTE) -> bytes:
    """A zlib stream of `size` bytes, `piece` again and again; it is made without having them in memory."""
    chunk = piece * (2**20 // len(piece))
    compressor = zlib.compressobj(9)
    # A full flush ends a block that knows nothing of what came before: it can be repeated.
    start = compressor.compress(chunk) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(chunk) + compressor.flush(zlib.Z_FULL_FLUSH)
    end = compressor.flush()[:-4]
    count, checksum = size // len(chunk), 1
    for _ in range(count):
        checksum = zlib.adler32(chunk, checksum)
    return start + again * (count - 1) + end + struct.pack(">I", checksum)


def flate(content: bytes, entries: bytes = b"") -> bytes:
    """A compressed stream object of something that is compressed already."""
    return stream(content, b"/Filter /FlateDecode " + entries)


def twice_flate(content: bytes, entries: bytes = b"") -> bytes:
    """As `flate`, and compressed once more: a bomb of a gibibyte then has a few kilobytes."""
    return stream(zlib.compress(content, 9), b"/Filter [/FlateDecode /FlateDecode] " + entries)


def picture(entries: bytes, data: bytes = b"\x55" * 64, further: Sequence[bytes] = ()) -> bytes:
    """A page that draws an image XObject, which is object 4; `further` are numbered from 5."""
    image = stream(data, b"/Type /XObject /Subtype /Image " + entries)
    return write_pdf([Page(_DRAWN)], [image, *further])


def coloured(space: bytes, further: Sequence[bytes] = (), components: int = 1) -> bytes:
    """A page with a picture and a square in a colour space."""
    image = stream(
        bytes(range(256)) * components,
        b"/Type /XObject /Subtype /Image /Width 16 /Height 16 /BitsPerComponent 8 /ColorSpace " + space,
    )
    colours = b" ".join([b"0.5"] * components)
    content = b"/C1 cs %s sc 0 0 50 50 re f %s" % (colours, _DRAWN)
    resources = b"/ColorSpace << /C1 " + space + b" >> /XObject << /X1 4 0 R >>"
    return with_resources(stream(content), resources, image, *further)


def form(content: bytes, entries: bytes = b"") -> bytes:
    """A form XObject."""
    return stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 200 100] " + entries)


def with_kids(kids: bytes, *further: bytes, count: int = 1) -> bytes:
    """A page tree whose root has these kids; `further` objects are numbered from 3."""
    root = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids)
    return write_objects([b"<< /Type /Catalog /Pages 2 0 R >>", root, *further])


def deep_page_tree(depth: int) -> bytes:
    """A page under as many nodes, each with one kid."""
    nodes = [b"<< /Type /Pages /Count 1 /Parent %d 0 R /Kids [%d 0 R] >>" % (n - 1, n + 1) for n in range(3, depth)]
    page = b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 200 100] >>" % (depth - 1)
    return with_kids(b"3 0 R", *nodes, page)


def nested_forms(depth: int, copies: int) -> bytes:
    """Each form draws the next one so many times: copies ** depth in all."""
    draws = b"/X1 Do " * copies
    forms = [form(draws, b"/Resources << /XObject << /X1 %d 0 R >> >>" % n) for n in range(5, 4 + depth)]
    return write_pdf([Page(b"/X1 Do")], [*forms, form(b"0 0 1 1 re f")])


def with_object_stream(content: bytes, count: int, first: int, entries: bytes = b"") -> bytes:
    """A PDF whose pages are said to be in an object stream, which is a bomb or says of itself what is not so."""
    objects = flate(content, b"/Type /ObjStm /N %d /First %d " % (count, first) + entries)
    # Objects 1 and 2 are in the stream, which is object 3; the table itself is object 4.
    table = struct.pack(">BIH", 2, 3, 0) + struct.pack(">BIH", 2, 3, 1)
    file = b"%PDF-1.7\n"
    place = len(file)
    file += b"3 0 obj\n%s\nendobj\n" % objects
    table = struct.pack(">BIH", 0, 0, 0) + table + struct.pack(">BIH", 1, place, 0)
    start = len(file)
    table += struct.pack(">BIH", 1, start, 0)
    file += b"4 0 obj\n%s\nendobj\n" % stream(table, b"/Type /XRef /Size 5 /W [1 4 2] /Root 1 0 R")
    return file + b"startxref\n%d\n%%%%EOF\n" % start


def with_table_stream(data: bytes, entries: bytes) -> bytes:
    """A PDF with a cross-reference stream that is not to be believed."""
    file = b"%PDF-1.7\n"
    return file + b"1 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (
        stream(data, b"/Type /XRef /Root 1 0 R " + entries),
        len(file),
    )


def jpeg2000(width: int, height: int) -> bytes:
    """A small JPEG 2000 picture that says it is that large."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG2000")
    content = bytearray(buffer.getvalue())
    sizes = content.index(b"\xff\x51") + 6
    # Once for the picture and once for its only tile.
    for place in (sizes, sizes + 16):
        content[place : place + 8] = struct.pack(">II", width, height)
    header = content.find(b"ihdr")
    if header >= 0:
        content[header + 4 : header + 12] = struct.pack(">II", height, width)
    return bytes(content)


def jbig2(width: int, height: int, data: bytes) -> bytes:
    """A JBIG2 page of one generic region that is all of it."""
    page = struct.pack(">IBBBI", 0, 48, 0, 1, 19) + struct.pack(">IIIIBH", width, height, 0, 0, 0, 0)
    body = struct.pack(">IIIIB", width, height, 0, 0, 0) + b"\x00\x03\xff\xfd\xff\x02\xfe\xfe\xfe" + data
    return page + struct.pack(">IBBBI", 1, 38, 0, 1, len(body)) + body


def jpeg(width: int, height: int, mode: str = "RGB") -> bytes:
    """A small JPEG that says it is that large."""
    buffer = io.BytesIO()
    Image.new(mode, (16, 16)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    frame = content.index(b"\xff\xc0") + 5
    content[frame : frame + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def with_font(entries: bytes, *further: bytes, shown: bytes = b"(Hello) Tj") -> bytes:
    """A page with a line in font F2, which is object 4; `further` objects are numbered from 5."""
    font = b"<< /Type /Font " + entries + b" >>"
    return write_pdf([Page(b"BT /F2 20 Tf 20 40 Td " + shown + b" ET" + text("Hello", 20, 70))], [font, *further])


def with_resources(content: bytes, resources: bytes, *objects: bytes) -> bytes:
    """A page of this content stream object, with resources of its own; `objects` are numbered from 4."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents %d 0 R /Resources << %s >> >>"
    return with_kids(b"3 0 R", page % (4 + len(objects), resources), *objects, content)


def with_content(content: bytes) -> bytes:
    """A page of these operators, compressed."""
    return with_resources(flate(zlib.compress(content, 9)), b"")


def boxed(box: str, entries: str = "", words: bytes = b"") -> bytes:
    """A page with this media box, whatever it says."""
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] {entries} /Contents 4 0 R ".encode()
    fonts = b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
    return with_kids(b"3 0 R", page + fonts, stream(words or text("Hello", 20, 40)))


def _cut_off(share: float) -> bytes:
    whole = sample_pdf()
    return whole[: int(share * len(whole))]


def _page_trees() -> Iterator[tuple[str, Callable[[], bytes]]]:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>"
    yield "page tree: its own kid", lambda: with_kids(b"2 0 R")
    yield "page tree: its own kid many times", lambda: with_kids(b"2 0 R 2 0 R 2 0 R 2 0 R", count=4000)
    yield (
        "page tree: two nodes hold each other",
        lambda: with_kids(b"3 0 R", b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [2 0 R] >>"),
    )
    yield "page tree: a page is its own parent", lambda: with_kids(b"3 0 R", b"<< /Type /Page /Parent 3 0 R >>")
    yield "page tree: 20,000 deep", lambda: deep_page_tree(20_000)
    yield "page tree: the same page 9,000 times", lambda: with_kids(b"3 0 R " * 9_000, page, count=9_000)
    yield "page tree: no pages", lambda: with_kids(b"", count=0)
    yield "page tree: a root that is a number", lambda: write_objects([b"<< /Type /Catalog /Pages 2 0 R >>", b"7"])
    yield "page tree: no catalog", lambda: write_objects([b"null"])
    for count in (-1, 5_000, 2**31 - 1, 2**31, 2**63, 10**30):
        yield f"page tree: a count of {count}", partial(with_kids, b"3 0 R", page, count=count)


def _boxes() -> Iterator[tuple[str, Callable[[], bytes]]]:
    boxes = {
        "35,000 points wide and high": "0 0 35000 35000",
        "a billion points wide and high": "0 0 1000000000 1000000000",
        "a billion points wide": "0 0 1000000000 1",
        "1e38 points wide and high": f"0 0 1{'0' * 38} 1{'0' * 38}",
        "upside down": "200 100 0 0",
        "below zero": "-500 -400 -100 -200",
        "numbers that are none": "NaN NaN NaN NaN",
        "infinities": "-Infinity -1e400 inf 1e400",
        "a number of 500 digits": f"0 0 {'9' * 500} {'9' * 500}",
        "far away": "2147483000 2147483000 2147483647 2147483647",
        "names": "/A /B /C /D",
        "two numbers": "0 0",
        "a thread": "0 0 0.0001 100000",
    }
    for name, box in boxes.items():
        yield f"media box: {name}", partial(boxed, box)
    for unit in ("75000", "1e38", "-1", "0", "NaN", "0.0000001"):
        yield f"user unit: {unit}", partial(boxed, "0 0 612 792", f"/UserUnit {unit}")
    for rotate in ("45", "2147483647", "-2147483648", "NaN", "1e30"):
        yield f"rotate: {rotate}", partial(boxed, "0 0 612 792", f"/Rotate {rotate}")
    yield "crop box: beside the page", lambda: boxed("0 0 612 792", "/CropBox [5000 5000 5001 5001]")
    yield "crop box: a huge one", lambda: boxed("0 0 612 792", "/CropBox [-1e30 -1e30 1e30 1e30]")


def _encryption() -> Iterator[tuple[str, Callable[[], bytes]]]:
    dictionaries = {
        "a wrong password": b"<< /Filter /Standard /V 1 /R 2 /P -4 " + _PASSWORD + b" >>",
        "nothing in it": b"<< >>",
        "a number": b"7",
        "the catalog": b"1 0 R",
        "a missing object": b"99 0 R",
        "an unknown handler": b"<< /Filter /Nobody /V 9 /R 9 >>",
        "a key of 2^31 bits": b"<< /Filter /Standard /V 2 /R 3 /Length 2147483647 /P -4 " + _PASSWORD + b" >>",
        "a key below zero": b"<< /Filter /Standard /V 2 /R 3 /Length -8 /P -4 " + _PASSWORD + b" >>",
        "AES without its filters": b"<< /Filter /Standard /V 5 /R 6 /Length 256 /P -4 " + _PASSWORD + b" >>",
        "short keys": b"<< /Filter /Standard /V 5 /R 6 /O <> /U <> /OE <> /UE <> /P -4 >>",
    }
    for name, dictionary in dictionaries.items():
        trailer = b"/ID [<00> <00>] /Encrypt " + dictionary
        yield f"encryption: {name}", partial(write_pdf, [Page()], trailer=trailer)


def _structure() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for share in (0.05, 0.3, 0.6, 0.95):
        yield f"cut off: after {share:.0%}", partial(_cut_off, share)
    yield "nested: 200,000 arrays", lambda: write_pdf([Page(entries=b"/X " + b"[" * 200_000)])
    yield "nested: 200,000 arrays that end", lambda: write_pdf([Page(entries=b"/X " + b"[" * 200_000 + b"]" * 200_000)])
    yield "nested: 100,000 dictionaries", lambda: write_pdf([Page(entries=b"/X " + b"<< /X " * 100_000)])
    yield "nested: 200,000 parentheses", lambda: write_pdf([Page(entries=b"/X " + b"(" * 200_000)])
    yield "nested: arrays in the trailer", lambda: write_pdf([Page()], trailer=b"/X " + b"[" * 200_000)
    yield "table: it comes before itself", lambda: write_pdf([Page()], trailer=b"/Prev 9")
    yield "table: a previous one far behind the end", lambda: write_pdf([Page()], trailer=b"/Prev 999999999999")
    yield "table: a previous one below zero", lambda: write_pdf([Page()], trailer=b"/Prev -1")
    yield "table: a stream beside it that is none", lambda: write_pdf([Page()], trailer=b"/XRefStm 9")
    yield "table: 2^31 objects", lambda: write_pdf([Page()]).replace(b"/Size 6", b"/Size 2147483647")
    yield (
        "table: a start of 2^63",
        lambda: write_pdf([Page()]).replace(b"startxref\n", b"startxref\n9223372036854775807"),
    )
    yield "table stream: 2^31 entries", lambda: with_table_stream(b"\0" * 64, b"/Size 2147483647 /W [1 4 2]")
    yield "table stream: huge fields", lambda: with_table_stream(b"\0" * 64, b"/Size 9 /W [2147483647 2147483647 1]")
    yield "table stream: fields below zero", lambda: with_table_stream(b"\0" * 64, b"/Size 9 /W [-1 -4 -2]")
    yield (
        "table stream: huge numbers",
        lambda: with_table_stream(b"\0" * 64, b"/Size 9 /W [1 4 2] /Index [2147483640 2147483647]"),
    )
    yield (
        "table stream: a bomb",
        lambda: with_table_stream(bomb(b"\1\0\0\0\0\0\0\0"), b"/Size 9999999 /W [1 4 2] /Filter /FlateDecode"),
    )
    yield "object stream: a bomb", lambda: with_object_stream(bomb(b"1 0 2 9 "), 2, 8)
    yield "object stream: 2^31 objects", lambda: with_object_stream(zlib.compress(b"1 0 2 4 null null"), 2**31 - 1, 8)
    yield "object stream: its first is far behind", lambda: with_object_stream(zlib.compress(b"1 0 2 4 "), 2, 2**31 - 1)
    yield (
        "object stream: it extends itself",
        lambda: with_object_stream(zlib.compress(b"1 0 2 4 null null"), 2, 8, b"/Extends 3 0 R"),
    )
    yield "length: of itself", lambda: write_pdf([Page(_DRAWN)], [b"<< /Length 4 0 R >>\nstream\nq Q\nendstream"])
    for length in (-1, 2**31 - 1, 2**63):
        content = b"<< /Length %d >>\nstream\n0 0 1 1 re f\nendstream" % length
        yield f"length: {length}", partial(with_resources, content, b"")
    yield "references: in a circle", lambda: write_pdf([Page(_DRAWN)], [b"5 0 R", b"4 0 R"])
    yield (
        "references: a content that is its page",
        lambda: write_objects(
            [
                b"<< /Type /Catalog /Pages 2 0 R >>",
                b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 3 0 R >>",
            ]
        ),
    )
    yield (
        "references: a content of 100,000 parts",
        lambda: with_kids(
            b"3 0 R",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents [%s] >>" % (b"4 0 R " * 100_000),
            stream(b"0 0 1 1 re f"),
        ),
    )


def _contents() -> Iterator[tuple[str, Callable[[], bytes]]]:
    page = with_content
    yield "content: 50,000 rectangles", lambda: page(b"0 0 1 1 re f\n" * 50_000)
    yield "content: 20,000 texts", lambda: write_pdf([Page(b"BT /F1 9 Tf 20 40 Td (a) Tj ET\n" * 20_000)])
    yield (
        "content: 20,000 small pictures",
        lambda: write_pdf(
            [Page(b"q 9 0 0 9 20 20 cm /X1 Do Q\n" * 20_000 + text("Hello", 20, 40))],
            [
                stream(
                    b"\0",
                    b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray",
                )
            ],
        ),
    )
    yield "content: a million saved states", lambda: page(b"q " * 1_000_000)
    yield "content: a million restored states", lambda: page(b"Q " * 1_000_000)
    yield "content: 500,000 arrays in each other", lambda: page(b"[" * 500_000)
    yield "content: 500,000 dictionaries in each other", lambda: page(b"/X " + b"<< /X " * 500_000 + b"BDC")
    yield "content: 300,000 marks that do not end", lambda: page(b"/P BMC " * 300_000 + b"0 0 1 1 re f")
    yield "content: 500,000 parentheses in each other", lambda: page(b"(" * 500_000)
    yield "content: a million numbers and no operator", lambda: page(b"1 " * 1_000_000)
    yield "content: a path of 500,000 curves", lambda: page(b"0 0 m " + b"9 9 80 3 50 70 c\n" * 500_000 + b"S")
    yield "content: a clip in a clip in a clip", lambda: page(b"0 0 99 99 re W n\n" * 50_000 + b"0 0 9 9 re f")
    yield "content: a dash of nothing", lambda: page(b"[0.000001 0.000001] 0 d 0 0 m 200 100 l S")
    yield "content: dashes that are no numbers", lambda: page(b"[NaN -1 1e38] 1e38 d 0 0 m 200 100 l S")
    yield "content: a line as wide as 1e38", lambda: page(b"%s w 0 0 m 200 100 l S" % (b"9" * 38))
    yield "content: numbers of 100,000 digits", lambda: page(b"9" * 100_000 + b" 0 0 1 re f")
    huge = b"9" * 38
    yield "content: matrices that overflow", lambda: page(b"%s 0 0 %s 0 0 cm " % (huge, huge) * 9 + b"0 0 1 1 re f")
    yield (
        "content: text that overflows",
        lambda: write_pdf([Page(b"BT /F1 %s Tf %s 0 0 %s %s %s Tm (Hello) Tj 9 0 Td (there) Tj ET" % ((huge,) * 5))]),
    )
    yield (
        "content: text at the end of the world",
        lambda: write_pdf(
            [Page(b"BT /F1 20 Tf 1 0 0 1 %s %s Tm (Hello) Tj ET" % (huge, huge) + text("there", 20, 40))]
        ),
    )
    yield "content: text of no size", lambda: write_pdf([Page(b"BT /F1 0 Tf 0 0 0 0 0 0 Tm (Hello) Tj ET")])
    yield (
        "content: a picture that overflows",
        lambda: write_pdf(
            [Page(b"q %s 0 0 %s -%s 0 cm /X1 Do Q" % (huge, huge, huge) + text("Hello", 20, 40))],
            [
                stream(
                    b"\0",
                    b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray",
                )
            ],
        ),
    )
    yield "content: an inline picture without an end", lambda: page(b"BI /W 60000 /H 60000 /BPC 8 /CS /RGB ID \0\0\0")
    for piece in (b" ", b"q ", b"0 0 1 1 re f\n"):
        yield f"bomb: a content of {piece.decode().strip() or 'blanks'}", partial(_content_bomb, piece)


def _content_bomb(piece: bytes) -> bytes:
    return with_resources(twice_flate(bomb(piece)), b"")


def _forms() -> Iterator[tuple[str, Callable[[], bytes]]]:
    me = b"/Resources << /XObject << /X1 4 0 R >> >>"
    other = b"/Resources << /XObject << /X1 5 0 R >> >>"
    yield "form: it draws itself", lambda: write_pdf([Page(b"/X1 Do")], [form(b"/X1 Do", me)])
    yield "form: it draws itself nine times", lambda: write_pdf([Page(b"/X1 Do")], [form(b"/X1 Do " * 9, me)])
    yield (
        "form: two draw each other",
        lambda: write_pdf([Page(b"/X1 Do")], [form(b"/X1 Do", other), form(b"/X1 Do", me)]),
    )
    yield (
        "form: it is its own mask",
        lambda: with_resources(
            stream(b"/G1 gs 0 0 99 99 re f"),
            b"/ExtGState << /G1 << /SMask << /S /Luminosity /G 4 0 R >> >> >>",
            form(b"/G1 gs 0 0 9 9 re f", b"/Group << /S /Transparency >> /Resources << /ExtGState << /G1 5 0 R >> >>"),
            b"<< /SMask << /S /Luminosity /G 4 0 R >> >>",
        ),
    )
    yield "form: a chain of 2,000", lambda: nested_forms(2_000, 1)
    yield (
        "form: a matrix that overflows",
        lambda: write_pdf(
            [Page(b"/X1 Do")], [form(text("Hi", 0, 0), b"/Matrix [%s 0 0 %s 0 0]" % (b"9" * 38, b"9" * 38))]
        ),
    )
    yield (
        "pattern: it is painted with itself",
        partial(_tiled, b"9", b"/Pattern cs /P1 scn 0 0 9 9 re f", b"/Resources << /Pattern << /P1 4 0 R >> >>"),
    )
    for step in (b"0.000001", b"0", b"-1", b"NaN"):
        yield f"pattern: steps of {step.decode()}", partial(_tiled, step)
    yield (
        "annotation: its look is itself",
        lambda: write_pdf(
            [Page(entries=b"/Annots [4 0 R 4 0 R]")],
            [b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 99 99] /AP << /N 4 0 R >> /Parent 4 0 R >>"],
        ),
    )
    yield (
        "annotation: its look draws itself",
        lambda: write_pdf(
            [Page(text("Hello", 20, 40), entries=b"/Annots [5 0 R]")],
            [form(b"/X1 Do", me), b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 99 99] /AP << /N 4 0 R >> >>"],
        ),
    )
    yield (
        "annotation: 20,000 of them",
        lambda: write_pdf(
            [Page(text("Hello", 20, 40), entries=b"/Annots [%s]" % (b"4 0 R " * 20_000))],
            [b"<< /Type /Annot /Subtype /FreeText /Rect [0 0 99 99] /Contents (Hi) /F 4 >>"],
        ),
    )
    yield (
        "annotation: a rectangle that is none",
        lambda: write_pdf(
            [Page(text("Hello", 20, 40), entries=b"/Annots [4 0 R]")],
            [b"<< /Type /Annot /Subtype /FreeText /Rect [NaN 1e400 %s -1] /Contents (Hi) /F 4 >>" % (b"9" * 400)],
        ),
    )
    yield (
        "form field: its own parent and kid",
        lambda: write_pdf(
            [Page(text("Hello", 20, 40), entries=b"/Annots [4 0 R]")],
            [b"<< /Type /Annot /Subtype /Widget /Parent 4 0 R /Kids [4 0 R] /Rect [0 0 99 99] /F 4 >>"],
            b"/AcroForm << /Fields [4 0 R] >>",
        ),
    )
    yield (
        "form field: 5,000 in each other",
        lambda: write_pdf(
            [Page(text("Hello", 20, 40), entries=b"/Annots [4 0 R]")],
            [
                b"<< /Subtype /Widget /FT /Tx /T (n) /V (Hi) /Rect [0 0 99 99] /Parent %d 0 R /Kids [%d 0 R] >>"
                % (max(4, n - 1), n + 1)
                for n in range(4, 5_004)
            ],
            b"/AcroForm << /Fields [4 0 R] >>",
        ),
    )


def _tiled(step: bytes, tile: bytes = b"0 0 9 9 re f", entries: bytes = b"") -> bytes:
    pattern = b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep %s /YStep %s " % (step, step)
    content = stream(b"/Pattern cs /P1 scn 0 0 99 99 re f")
    return with_resources(content, b"/Pattern << /P1 4 0 R >>", stream(tile, pattern + entries))


def _pictures() -> Iterator[tuple[str, Callable[[], bytes]]]:
    huge = b"/Width 60000 /Height 60000 /BitsPerComponent 8 /ColorSpace /DeviceRGB "
    fax = b"/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray "
    yield "picture: 60,000 x 60,000 of nothing", lambda: picture(huge)
    yield (
        "picture: 2^31 x 2^31 of nothing",
        lambda: picture(b"/Width 2147483647 /Height 2147483647 /BitsPerComponent 16 /ColorSpace /DeviceCMYK "),
    )
    yield (
        "picture: sizes below zero",
        lambda: picture(b"/Width -5 /Height -5 /BitsPerComponent 8 /ColorSpace /DeviceGray"),
    )
    yield (
        "picture: 60,000 x 60,000, compressed",
        lambda: picture(huge + b"/Filter /FlateDecode", zlib.compress(b"\0" * 99)),
    )
    yield "picture: a bomb", lambda: picture(huge + b"/Filter [/FlateDecode /FlateDecode]", zlib.compress(bomb(b"\0")))
    yield (
        "picture: a bomb in few pixels",
        lambda: picture(
            b"/Width 9 /Height 9 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter [/FlateDecode /FlateDecode]",
            zlib.compress(bomb(b"\0")),
        ),
    )
    yield (
        "picture: a bomb behind 200 filters",
        lambda: picture(huge + b"/Filter [%s]" % (b"/FlateDecode " * 200), zlib.compress(bomb(b"\0"))),
    )
    yield "picture: a bomb of runs", lambda: picture(huge + b"/Filter /RunLengthDecode", b"\x81\0" * 500_000)
    yield (
        "picture: a predictor of 2^31 columns",
        lambda: picture(
            huge + b"/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 32 >>",
            zlib.compress(b"\0" * 9999),
        ),
    )
    yield (
        "picture: LZW that is none",
        lambda: picture(huge + b"/Filter /LZWDecode", b"\x80\x0b\x60\x50\x22\x0c\x0c" * 99),
    )
    yield (
        "picture: a fax of 60,000 white lines",
        lambda: picture(
            fax + b"/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 60000 /Rows 60000 >>", b"\xff" * 7_500
        ),
    )
    yield (
        "picture: a fax of 2^31 columns",
        lambda: picture(
            fax + b"/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 2147483647 /Rows 2147483647 >>", b"\xff" * 99
        ),
    )
    yield (
        "picture: JBIG2 of 60,000 x 60,000",
        lambda: picture(fax + b"/Filter /JBIG2Decode", jbig2(60_000, 60_000, b"\0" * 99)),
    )
    yield (
        "picture: JBIG2 of 2^32 x 2^32",
        lambda: picture(fax + b"/Filter /JBIG2Decode", jbig2(2**32 - 1, 2**32 - 1, b"\0" * 99)),
    )
    yield "picture: JBIG2 of garbage", lambda: picture(fax + b"/Filter /JBIG2Decode", b"\xde\xad\xbe\xef" * 99)
    yield (
        "picture: JBIG2 with a dictionary that is itself",
        lambda: picture(
            fax + b"/Filter /JBIG2Decode /DecodeParms << /JBIG2Globals 4 0 R >>", jbig2(99, 99, b"\0" * 99)
        ),
    )
    yield (
        "picture: JPEG 2000 of 60,000 x 60,000",
        lambda: picture(huge + b"/Filter /JPXDecode", jpeg2000(60_000, 60_000)),
    )
    yield (
        "picture: JPEG 2000 of 2^32 x 2^32",
        lambda: picture(huge + b"/Filter /JPXDecode", jpeg2000(2**32 - 1, 2**32 - 1)),
    )
    yield "picture: JPEG 2000 of garbage", lambda: picture(huge + b"/Filter /JPXDecode", b"\xff\x4f\xff\x51" * 99)
    yield "picture: JPEG of 65,500 x 65,500", lambda: picture(huge + b"/Filter /DCTDecode", jpeg(65_500, 65_500))
    yield "picture: JPEG of garbage", lambda: picture(huge + b"/Filter /DCTDecode", b"\xff\xd8\xff\xe0" * 99)
    yield (
        "picture: it is its own mask",
        lambda: picture(b"/Width 8 /Height 8 /BitsPerComponent 8 /ColorSpace /DeviceGray /SMask 4 0 R /Mask 4 0 R"),
    )
    yield (
        "picture: a mask of 60,000 x 60,000",
        lambda: picture(
            b"/Width 8 /Height 8 /BitsPerComponent 8 /ColorSpace /DeviceGray /SMask 5 0 R",
            further=[
                stream(b"\0", b"/Subtype /Image /Width 60000 /Height 60000 /BitsPerComponent 8 /ColorSpace /DeviceGray")
            ],
        ),
    )
    for bits in (-1, 0, 3, 17, 2**31 - 1):
        entries = b"/Width 8 /Height 8 /BitsPerComponent %d /ColorSpace /DeviceGray" % bits
        yield f"picture: {bits} bits", partial(picture, entries)


def _colours() -> Iterator[tuple[str, Callable[[], bytes]]]:
    spaces = {
        "Lab": (b"[/Lab << /WhitePoint [0.95 1 1.09] /Range [-128 127 -128 127] >>]", 3),
        "Lab with ranges that are none": (b"[/Lab << /WhitePoint [NaN 0 0] /Range [9 -9 1e38 -1e38] >>]", 3),
        "CalRGB of nothing": (b"[/CalRGB << >>]", 3),
        "CalGray with a huge gamma": (b"[/CalGray << /WhitePoint [1 1 1] /Gamma 99999999 >>]", 1),
        "a separation without its function": (b"[/Separation /Spot /DeviceCMYK 99 0 R]", 1),
        "a separation of itself": (b"[/Separation /Spot 5 0 R 6 0 R]", 1),
        "100 inks": (b"[/DeviceN [%s] /DeviceCMYK 6 0 R]" % b" ".join(b"/I%d" % n for n in range(100)), 100),
        "an index past its end": (b"[/Indexed /DeviceRGB 255 <ff0000>]", 1),
        "2^31 indices": (b"[/Indexed /DeviceRGB 2147483647 <ff0000>]", 1),
        "an index below zero": (b"[/Indexed /DeviceRGB -9 <ff0000>]", 1),
        "an index of itself": (b"5 0 R", 1),
        "a profile of seven inks": (b"[/ICCBased 6 0 R]", 7),
        "a pattern": (b"[/Pattern /Pattern]", 1),
        "a colour that is not there": (b"[/Nothing 1 2 3]", 1),
    }
    function = stream(b"{ " * 20_000, b"/FunctionType 4 /Domain [0 1] /Range [0 1 0 1 0 1 0 1] /N 7 /Alternate 5 0 R")
    further = [b"[/Indexed 5 0 R 255 <ff0000>]", function]
    for name, (space, components) in spaces.items():
        yield f"colours: {name}", partial(coloured, space, further, components)
    yield (
        "colours: a profile that is a bomb",
        lambda: coloured(
            b"[/ICCBased 5 0 R]", [stream(zlib.compress(bomb(b"\0")), b"/N 3 /Filter [/FlateDecode /FlateDecode]")], 3
        ),
    )
    yield (
        "colours: a table of 65,535 x 65,535",
        lambda: coloured(
            b"[/DeviceN [/A /B] /DeviceGray 5 0 R]",
            [
                stream(
                    b"\0" * 99, b"/FunctionType 0 /Domain [0 1 0 1] /Range [0 1] /Size [65535 65535] /BitsPerSample 32"
                )
            ],
            2,
        ),
    )
    yield (
        "colours: a function of itself",
        lambda: coloured(
            b"[/Separation /Spot /DeviceGray 5 0 R]",
            [b"<< /FunctionType 3 /Domain [0 1] /Functions [5 0 R 5 0 R] /Bounds [0.5] /Encode [0 1 0 1] >>"],
        ),
    )
    for kind in range(1, 9):
        shading = b"/ShadingType %d /ColorSpace /DeviceRGB /Function 5 0 R /Coords [0 0 0 0 1e38 NaN] " % kind
        mesh = (
            b"/BitsPerCoordinate 32 /BitsPerComponent 16 /BitsPerFlag 8 /VerticesPerRow 99999999 /Decode [0 9 0 9 0 1]"
        )
        drawing = stream(bytes(range(256)) * 9, shading + mesh)
        yield (
            f"shading: type {kind}",
            partial(with_resources, stream(b"/S1 sh"), b"/Shading << /S1 4 0 R >>", drawing, b"null"),
        )


def _fonts() -> Iterator[tuple[str, Callable[[], bytes]]]:
    type3 = b"/Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 0 /LastChar 255 "
    yield (
        "font: a letter that draws itself",
        lambda: with_font(
            type3
            + b"/Encoding << /Differences [0 /a] >> /CharProcs << /a 5 0 R >> /Resources << /Font << /F2 4 0 R >> >>",
            stream(b"9 0 d0 BT /F2 9 Tf <00> Tj ET"),
            shown=b"<000000> Tj",
        ),
    )
    yield "font: a matrix of nothing", lambda: with_font(type3.replace(b"[1 0 0 1 0 0]", b"[0 0 0 0 0 0]"))
    yield (
        "font: made of a bomb",
        lambda: with_font(
            b"/Subtype /TrueType /BaseFont /X /FontDescriptor << /Type /FontDescriptor /Flags 4 /FontFile2 5 0 R >>",
            twice_flate(bomb(b"\0\1\0\0")),
        ),
    )
    yield (
        "font: what its letters mean is a bomb",
        lambda: with_font(
            b"/Subtype /Type1 /BaseFont /Helvetica /ToUnicode 5 0 R",
            twice_flate(bomb(b"1 beginbfchar <00> <41> endbfchar ")),
        ),
    )
    yield (
        "font: its map uses itself",
        lambda: with_font(
            b"/Subtype /Type0 /BaseFont /X /Encoding 5 0 R /DescendantFonts [4 0 R]",
            stream(b"/X usecmap 1 begincodespacerange <00> <ff> endcodespacerange", b"/Type /CMap /UseCMap 5 0 R"),
        ),
    )
    yield (
        "font: its letters mean half a character",
        lambda: with_font(
            b"/Subtype /Type1 /BaseFont /Helvetica /ToUnicode 5 0 R",
            stream(b"begincmap 3 beginbfchar <48> <D800> <65> <0000> <6C> <DC00DC00> endbfchar endcmap"),
        ),
    )
    yield (
        "font: a range of 2^32 letters",
        lambda: with_font(
            b"/Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [6 0 R] /ToUnicode 5 0 R",
            stream(
                b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange 1 beginbfrange <0000> <FFFF> <0041> endbfrange"
            ),
            b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /W [0 4294967295 500] >>",
            shown=b"<00410042> Tj",
        ),
    )
    yield (
        "font: widths that are none",
        lambda: with_font(
            b"/Subtype /Type1 /BaseFont /Helvetica /FirstChar -9 /LastChar 2147483647 /Widths [NaN %s -1]"
            % (b"9" * 400)
        ),
    )


def hostile_pdfs() -> dict[str, Callable[[], bytes]]:
    """What makes each file, by what is wrong with it."""
    groups = (_page_trees, _boxes, _encryption, _structure, _contents, _forms, _pictures, _colours, _fonts)
    return {f"PDF, {name}": make for group in groups for name, make in group()}
