"""PDFium's functions that are called thousands of times a page, bound so that a call costs little.

pypdfium2's own bindings convert every argument, and let go of the interpreter's lock and take it back: for a function
that returns one field of a structure that is most of its time. These keep the lock, so they are for short calls only.
Handles are plain addresses.
"""

from __future__ import annotations

import ctypes
from ctypes import c_float, c_int, c_size_t, c_uint, c_void_p
from typing import Any, Final

import pypdfium2.raw as pdfium_c


def address(handle: Any) -> int:
    """The address of one of pypdfium2's handles, for the functions below."""
    return ctypes.cast(handle, c_void_p).value or 0


def _bind(function: Any, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)(address(function))


# Of a text page: each takes its address and the index of a character.
get_unicode: Final = _bind(pdfium_c.FPDFText_GetUnicode, c_uint, c_void_p, c_int)
has_unicode_map_error: Final = _bind(pdfium_c.FPDFText_HasUnicodeMapError, c_int, c_void_p, c_int)
is_hyphen: Final = _bind(pdfium_c.FPDFText_IsHyphen, c_int, c_void_p, c_int)
get_char_angle: Final = _bind(pdfium_c.FPDFText_GetCharAngle, c_float, c_void_p, c_int)
# And the address of four floats to write to: left, top, right, bottom.
get_loose_char_box: Final = _bind(pdfium_c.FPDFText_GetLooseCharBox, c_int, c_void_p, c_int, c_size_t)
# The address of a text page, the index of a character, how many, and the address of one more UTF-16 units to write to.
get_text: Final = _bind(pdfium_c.FPDFText_GetText, c_int, c_void_p, c_int, c_int, c_size_t)

# Of a page, or of a form within it: how many objects there are, and one by its index.
count_page_objects: Final = _bind(pdfium_c.FPDFPage_CountObjects, c_int, c_void_p)
get_page_object: Final = _bind(pdfium_c.FPDFPage_GetObject, c_size_t, c_void_p, c_int)
count_form_objects: Final = _bind(pdfium_c.FPDFFormObj_CountObjects, c_int, c_void_p)
get_form_object: Final = _bind(pdfium_c.FPDFFormObj_GetObject, c_size_t, c_void_p, c_int)

# Of an object.
get_object_type: Final = _bind(pdfium_c.FPDFPageObj_GetType, c_int, c_void_p)
get_text_render_mode: Final = _bind(pdfium_c.FPDFTextObj_GetTextRenderMode, c_int, c_void_p)
# And the address of six floats to write to: a, b, c, d, e, f of x' = a·x + c·y + e, y' = b·x + d·y + f.
get_object_matrix: Final = _bind(pdfium_c.FPDFPageObj_GetMatrix, c_int, c_void_p, c_size_t)
