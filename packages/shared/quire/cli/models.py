"""`quire models`: the files that the OCR engines need, on this machine."""

from __future__ import annotations

import subprocess
from enum import StrEnum
from typing import Annotated

import typer

from quire.cli.checkout import worker_command
from quire.cli.output import JsonOption

app = typer.Typer(no_args_is_help=True, help="The files that the OCR engines need (QUIRE_MODEL_DIR).")


class Engine(StrEnum):
    """What models are needed for."""

    LEAN = "lean"
    PADDLEOCR = "paddleocr"
    GOT = "got"
    STRUCTURE = "structure"
    PREPARATION = "preparation"


EngineOption = Annotated[Engine | None, typer.Option(help="Of this engine only.")]
LanguageOption = Annotated[str | None, typer.Option(help="For this language only.")]


@app.command("list")
def list_(engine: EngineOption = None, lang: LanguageOption = None, as_json: JsonOption = False) -> None:
    """Which models there are, for which languages, how large they are and where they lie or belong."""
    _run("list", engine, lang, as_json)


@app.command()
def download(
    engine: EngineOption = None,
    lang: LanguageOption = None,
    base: Annotated[
        str | None, typer.Option("--from", help="URL of a folder with a folder for each model, instead of the hub.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the models that are missing or damaged; without options those that the settings need."""
    _run("download", engine, lang, as_json, *([f"--from={base}"] if base is not None else []))


@app.command()
def verify(engine: EngineOption = None, lang: LanguageOption = None, as_json: JsonOption = False) -> None:
    """Compare the models that are here with their checksums. Ends with 1 if one is damaged, or is named and missing."""
    _run("verify", engine, lang, as_json)


def _run(command: str, engine: Engine | None, lang: str | None, as_json: bool, *more: str) -> None:
    """Which models there are is known to the worker's code; it prints as `quire` does and ends as `quire` does."""
    arguments = [command, *more]
    arguments += [f"--engine={engine.value}"] if engine is not None else []
    arguments += [f"--lang={lang}"] if lang is not None else []
    arguments += ["--json"] if as_json else []
    run, environment = worker_command("ocr.model_store", *arguments)
    raise typer.Exit(subprocess.run(run, env=environment, check=False).returncode)  # noqa: S603  our own module
