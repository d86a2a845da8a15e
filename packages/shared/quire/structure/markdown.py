"""Blocks as Markdown: headings, paragraphs, lists, tables, formulas, pictures, in the order of reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import quote

from quire.contracts import Block, BlockType, Table
from quire.structure.escaping import escape_line
from quire.structure.tables import grid, has_spans

# What stands on every page and belongs to none of the text.
BESIDE_THE_TEXT: Final[frozenset[BlockType]] = frozenset(("header", "footer", "page_number", "formula_number", "aside"))
PICTURES: Final[frozenset[BlockType]] = frozenset(("figure", "chart", "seal"))

_HEADINGS: Final[dict[BlockType, str]] = {"title": "# ", "heading": "## "}
_BULLET: Final = re.compile(r"^\s*(?:[-*•·▪◦‣–]|(\d{1,9})[.)])\s+")


def blocks_markdown(blocks: Iterable[Block]) -> str:
    """All that is of the text among these blocks, an empty line between two; empty where nothing is."""
    parts = (block_markdown(block) for block in blocks if block.type not in BESIDE_THE_TEXT)
    return "\n\n".join(part for part in parts if part)


def block_markdown(block: Block) -> str:
    """One block as Markdown: text is escaped, so that nothing in it turns into markup."""
    if block.table is not None:
        # Of a chart there are the picture and its numbers.
        parts = (_picture(block) if block.picture else "", table_markdown(block.table, block.formulas))
        return "\n\n".join(part for part in parts if part)
    if block.latex:
        return _formula(block.latex)
    return _OF_TYPE.get(block.type, _paragraph)(block)


def table_markdown(table: Table, formulas: Sequence[str] = ()) -> str:
    """A pipe table; HTML where cells span several places, which pipes cannot say. `formulas` are a block's."""
    if not table.cells:
        return ""
    if has_spans(table):
        return table.html
    first, *rest = (_row(cells, formulas) for cells in grid(table))
    return "\n".join([first, "|" + " --- |" * table.columns, *rest])


def _row(cells: list[str], formulas: Sequence[str]) -> str:
    return "|" + "".join(f" {'<br>'.join(_line(line, formulas) for line in cell.split(chr(10)))} |" for cell in cells)


def _line(text: str, formulas: Sequence[str]) -> str:
    """One line as `escape_line` has it, but for the formulas in it."""
    signs: dict[str, str] = {}
    # The longest first: it may have another one in it.
    for latex in sorted(formulas, key=len, reverse=True):
        if latex.strip() and "$" not in latex and f"${latex}$" in text:
            # No text has this character.
            sign = f"\x00{len(signs)}\x00"
            signs[sign] = f"${_without_markup(latex).strip()}$"
            text = text.replace(f"${latex}$", sign)
    escaped = escape_line(text)
    for sign, formula in signs.items():
        escaped = escaped.replace(sign, formula)
    return escaped


def _without_markup(latex: str) -> str:
    # A parser that knows no formulas takes < for the begin of HTML, and | for the end of a cell.
    return latex.replace("<", r"\lt ").replace(">", r"\gt ").replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def _formula(latex: str) -> str:
    # Two dollar signs would end it early.
    safe = latex.replace("$$", "${}$").replace("<", r"\lt ").replace(">", r"\gt ")
    inner = "\n".join(line for line in safe.split("\n") if line.strip())
    return f"$$\n{inner}\n$$"


def _lines(block: Block) -> list[str]:
    return [line for line in block.text.split("\n") if line.strip()]


def _paragraph(block: Block) -> str:
    return "\n".join(_line(line, block.formulas) for line in _lines(block))


def _title(block: Block) -> str:
    text = _line(" ".join(_lines(block)), block.formulas)
    return f"{_HEADINGS[block.type]}{text}" if text else ""


def _list(block: Block) -> str:
    return "\n".join(_item(line, block.formulas) for line in _lines(block))


def _picture(block: Block) -> str:
    text = escape_line(" ".join(block.text.split()))
    # Without a stored picture there is nothing to show but what it says.
    return f"![{text or block.type}](<{quote(block.picture)}>)" if block.picture else text


def _fenced(block: Block) -> str:
    longest = max((len(run) for run in re.findall(r"`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{block.text}\n{fence}" if block.text.strip() else ""


def _item(line: str, formulas: Sequence[str]) -> str:
    bullet = _BULLET.match(line)
    if bullet is None:
        return f"- {_line(line, formulas)}"
    mark = f"{bullet[1]}." if bullet[1] else "-"
    return f"{mark} {_line(line[bullet.end() :], formulas)}"


_OF_TYPE: Final[dict[BlockType, Callable[[Block], str]]] = {
    **dict.fromkeys(_HEADINGS, _title),
    **dict.fromkeys(PICTURES, _picture),
    "code": _fenced,
    "list": _list,
}
