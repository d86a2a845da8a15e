"""The `quire` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from quire.loading import loaded  # isort: skip  the collector rests from here on
import typer

from quire.cli import burst, documents, keys, local, models, study, workers
from quire.cli.exit_codes import ExitCode, exit_code_of
from quire.cli.output import JsonOption, print_error
from quire.errors import QuireError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
loaded()


@app.callback()
def _commands() -> None:
    """Self-hosted OCR for documents. QUIRE_API_URL and QUIRE_API_KEY say which API the commands speak to."""


app.command()(local.ocr)
app.command()(documents.submit)
app.command()(documents.status)
app.command("list")(documents.list_)
app.command()(documents.watch)
app.command()(documents.export)
app.command()(documents.cancel)
app.command()(documents.retry)
app.command()(documents.delete)
app.add_typer(study.app, name="study")
app.add_typer(keys.app, name="keys")
app.add_typer(burst.app, name="burst")
app.add_typer(workers.app, name="workers")
app.add_typer(models.app, name="models")


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Without loading the models.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check settings, services, models and GPU. Ends with 1 if something has to be done, and says what."""
    from quire.cli.doctor import run

    raise typer.Exit(run(quick=quick, as_json=as_json))


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
        print_error(error)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
