"""What commands print: for people, or with `--json` for programs. Progress and errors go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quire.cli.exit_codes import code_of
from quire.errors import QuireError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

console = Console(highlight=False, soft_wrap=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)

_COLOURS = {"completed": "green", "partial": "yellow", "failed": "red", "cancelled": "red"}


def print_json(value: Any) -> None:
    """One JSON value on a line of its own."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_error(error: QuireError) -> None:
    """One line on stderr: the code, and what to do."""
    messages.print(f"[bold red]quire:[/] {code_of(error)}: {escape(error.message)}")


def print_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """One document."""
    if as_json:
        print_json(document)
        return
    status = str(document["status"])
    console.print(f"{document['id']}  [{_COLOURS.get(status, 'default')}]{status}[/]  {escape(pages_of(document))}")
    if document.get("filename"):
        console.print(f"  file     {escape(str(document['filename']))}")
    console.print(f"  created  {document['created_at']}")
    if document.get("finished_at"):
        console.print(f"  ended    {document['finished_at']}")
    if document.get("queue_position") is not None:
        console.print(f"  waiting  {document['queue_position']} before it")
    if document.get("eta_seconds") is not None:
        console.print(f"  about    {document['eta_seconds']:.0f} s left")
    if document.get("error"):
        console.print(f"  [red]{document['error']['code']}: {escape(document['error']['message'])}[/]")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows below headings; nothing where there are none."""
    if not rows:
        return
    table = Table(*headings, box=None, header_style="dim", pad_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    console.print(table)


def pages_of(document: Mapping[str, Any]) -> str:
    """How far a document is, in words."""
    total = document.get("pages_total")
    if total is None:
        return "not opened yet"
    failed = f", {document['pages_failed']} failed" if document["pages_failed"] else ""
    return f"{document['pages_done']} of {total} pages{failed}"
