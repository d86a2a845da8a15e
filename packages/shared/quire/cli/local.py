"""`quire ocr`: read a document here, in one process and without any server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from quire.cli.checkout import worker_command
from quire.cli.documents import TextLayer
from quire.cli.exit_codes import ExitCode, UsageError
from quire.cli.output import JsonOption


def ocr(
    file: Annotated[Path, typer.Argument(help="A PDF or an image.")],
    pages: Annotated[str | None, typer.Option(help='Such as "1-3,7".')] = None,
    lang: Annotated[list[str] | None, typer.Option(help="Expected language; may be given several times.")] = None,
    text_layer: Annotated[TextLayer, typer.Option(help="A PDF page's own text.")] = TextLayer.AUTO,
    dpi: Annotated[int | None, typer.Option(min=36, max=600)] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a document on this machine, without any server. Needs a checkout: the OCR core is the worker's."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    arguments = ["--format", "json" if as_json else "text", "--text-layer", text_layer.value]
    arguments += [f"--pages={pages}"] if pages is not None else []
    arguments += [f"--lang={language}" for language in lang or ()]
    arguments += [f"--dpi={dpi}"] if dpi is not None else []
    command, environment = worker_command("ocr", *arguments, "--", str(file))
    # Its pages come out as they are read, its errors are one line as well.
    ended = subprocess.run(command, env=environment, check=False)  # noqa: S603  this interpreter, our module
    raise typer.Exit(ExitCode.OK if ended.returncode == 0 else ExitCode.FAILED)
