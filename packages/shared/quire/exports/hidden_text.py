"""Invisible text of an earlier OCR, which would be found twice beside the new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pikepdf

_INVISIBLE: Final = 3
_SHOWING: Final = ("Tj", "TJ", "'", '"')


def remove_hidden_text(pdf: pikepdf.Pdf, page: pikepdf.Page) -> None:
    """Take text in rendering mode 3 off a page; what the page looks like stays.

    Only from text objects in which all text is invisible: elsewhere it is what moves the visible text along. Text
    within form XObjects stays.
    """
    contents = page.obj.get(pikepdf.Name.Contents)
    if contents is None or not _may_have_hidden_text(contents):
        return
    try:
        instructions = list(pikepdf.parse_content_stream(page))
        kept = list(_without_hidden(instructions))
    except (pikepdf.PdfError, ValueError, TypeError, LookupError):
        # Content that cannot be told apart is content that must stay.
        return
    if len(kept) < len(instructions):
        page.obj[pikepdf.Name.Contents] = pdf.make_stream(pikepdf.unparse_content_stream(kept))


def _may_have_hidden_text(contents: pikepdf.Object) -> bool:
    streams: Iterable[Any] = contents if isinstance(contents, pikepdf.Array) else [contents]
    return any(b"Tr" in stream.read_bytes() for stream in streams)


def _without_hidden(instructions: Sequence[Any]) -> Iterator[Any]:
    mode, stack = 0, []
    pending: list[Any] = []
    modes: set[int] = set()
    in_text = False
    for instruction in instructions:
        operator = str(instruction.operator)
        if operator == "q":
            stack.append(mode)
        elif operator == "Q" and stack:
            mode = stack.pop()
        elif operator == "Tr":
            mode = int(instruction.operands[0])
        elif operator == "BT":
            in_text, modes = True, set()
        elif operator in _SHOWING:
            modes.add(mode)
        if not in_text:
            yield instruction
            continue
        pending.append(instruction)
        if operator == "ET":
            yield from _unless_hidden(pending, modes)
            pending, in_text = [], False
    yield from pending


def _unless_hidden(text_object: list[Any], modes: set[int]) -> Iterator[Any]:
    """A text object, without what it shows if all of that is invisible; fonts and modes set there last beyond it."""
    for instruction in text_object:
        if modes != {_INVISIBLE} or str(instruction.operator) not in _SHOWING:
            yield instruction
