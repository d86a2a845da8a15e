"""What a page draws besides its readable text: pictures, invisible text, filled form fields, notes, stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import numpy as np
import pypdfium2.raw as pdfium_c

from ocr.text_layer import pdfium

# Left, bottom, right, top in PDF user space.
UserBox = tuple[float, float, float, float]
# x' = a·x + c·y + e, y' = b·x + d·y + f
_Matrix = tuple[float, float, float, float, float, float]

_UNTURNED: Final[_Matrix] = (1, 0, 0, 1, 0, 0)
_INVISIBLE: Final = 3
# Of the kinds of objects only these are looked at: a drawing may have thousands of paths.
_TEXT: Final = pdfium_c.FPDF_PAGEOBJ_TEXT
_PICTURE: Final = pdfium_c.FPDF_PAGEOBJ_IMAGE
_FORM: Final = pdfium_c.FPDF_PAGEOBJ_FORM
_LOOKED_AT: Final = (_TEXT, _PICTURE)
_MAX_DEPTH: Final = 4
# In PDFium's numbers: fields that show what was typed or chosen. A check mark is not text.
_TEXT_FIELDS: Final = (
    pdfium_c.FPDF_FORMFIELD_TEXTFIELD,
    pdfium_c.FPDF_FORMFIELD_COMBOBOX,
    pdfium_c.FPDF_FORMFIELD_LISTBOX,
)
_NOT_SHOWN: Final = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW


@dataclass(frozen=True)
class Drawing:
    """`hidden` says whether most text is drawn invisibly; `notes` are fields, notes and stamps that show text."""

    hidden: bool
    pictures: list[UserBox]
    notes: list[UserBox]


def read_drawing(page: Any) -> Drawing:
    """Look at a page's objects and annotations; the caller holds PDFium's lock."""
    texts = invisible = 0
    pictures: list[UserBox] = []
    for kind, thing, matrix in _objects(pdfium.address(page.raw)):
        if kind == _TEXT:
            texts += 1
            invisible += pdfium.get_text_render_mode(thing) == _INVISIBLE
        else:
            pictures.append(_unit_square(_times(_matrix(thing), matrix)))
    return Drawing(invisible * 2 > texts, pictures, list(_notes(page)))


def _objects(
    container: int,
    count: Any = pdfium.count_page_objects,
    get: Any = pdfium.get_page_object,
    matrix: _Matrix = _UNTURNED,
    depth: int = 1,
) -> Iterator[tuple[int, int, _Matrix]]:
    """Kind and address of each text and picture, and the matrix from its space to the page's; forms are looked into."""
    things = list(map(get, repeat(container), range(count(container))))
    for kind, thing in zip(map(pdfium.get_object_type, things), things, strict=True):
        if kind in _LOOKED_AT:
            yield kind, thing, matrix
        elif kind == _FORM and depth < _MAX_DEPTH:
            inner = _times(_matrix(thing), matrix)
            yield from _objects(thing, pdfium.count_form_objects, pdfium.get_form_object, inner, depth + 1)


def _matrix(thing: int) -> _Matrix:
    numbers = np.array(_UNTURNED, np.float32)
    pdfium.get_object_matrix(thing, numbers.ctypes.data)
    a, b, c, d, e, f = numbers.tolist()
    return a, b, c, d, e, f


def _times(first: _Matrix, then: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _unit_square(matrix: _Matrix) -> UserBox:
    """The box around where a matrix puts the unit square, which is where a picture is drawn."""
    a, b, c, d, e, f = matrix
    xs, ys = (e, a + e, c + e, a + c + e), (f, b + f, d + f, b + d + f)
    return min(xs), min(ys), max(xs), max(ys)


def _notes(page: Any) -> Iterator[UserBox]:
    for index in range(pdfium_c.FPDFPage_GetAnnotCount(page.raw)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page.raw, index)
        try:
            rectangle = pdfium_c.FS_RECTF()
            if _shows_text(page, annotation) and pdfium_c.FPDFAnnot_GetRect(annotation, rectangle):
                bottom, top = sorted((rectangle.bottom, rectangle.top))
                yield rectangle.left, bottom, rectangle.right, top
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _shows_text(page: Any, annotation: Any) -> bool:
    """Whether this annotation draws words that are not in the text layer."""
    if pdfium_c.FPDFAnnot_GetFlags(annotation) & _NOT_SHOWN:
        return False
    kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium_c.FPDF_ANNOT_WIDGET:
        return _is_filled(page.formenv, annotation)
    return kind in (pdfium_c.FPDF_ANNOT_FREETEXT, pdfium_c.FPDF_ANNOT_STAMP)


def _is_filled(form: Any, annotation: Any) -> bool:
    # Lengths are in bytes and count the two of the terminator.
    if form is None:
        return bool(pdfium_c.FPDFAnnot_GetStringValue(annotation, b"V", None, 0) > 2)
    kind = pdfium_c.FPDFAnnot_GetFormFieldType(form.raw, annotation)
    if kind == pdfium_c.FPDF_FORMFIELD_SIGNATURE:
        return bool(pdfium_c.FPDFAnnot_HasKey(annotation, b"V"))
    return kind in _TEXT_FIELDS and pdfium_c.FPDFAnnot_GetFormFieldValue(form.raw, annotation, None, 0) > 2
