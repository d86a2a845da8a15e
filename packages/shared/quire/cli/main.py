"""`quire up`: the whole system on one machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from quire.errors import QuireError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Self-hosted OCR for documents."""


@app.command()
def up(
    file: Annotated[Path | None, typer.Option(help="Read this document instead of the samples.")] = None,
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1.")] = 8000,
    once: Annotated[bool, typer.Option("--once", help="Stop after the documents have been read.")] = False,
    home: Annotated[Path, typer.Option(help="Folder for data, logs and models.")] = Path(".quire"),
) -> None:
    """Start Redis, Postgres, the API and workers for both queues, read a document through them, and keep serving."""
    from quire.cli.up import run

    raise typer.Exit(run(file=file, port=port, once=once, home=home))


def main() -> None:
    """Entry point: typed errors become one line, Ctrl-C no traceback."""
    try:
        app()
    except QuireError as error:
        Console(stderr=True).print(f"[bold red]quire:[/] {error.message}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
