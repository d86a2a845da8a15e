"""`python -m ocr.model_store list|download|verify`, which is `quire models`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

import workspace  # noqa: F401  isort: skip
from ocr.model_store import catalogue
from ocr.model_store.checksums import verify
from ocr.model_store.fetching import fetch
from quire.errors import QuireError
from quire.settings import Settings, load_settings

# Exit statuses, as those of `quire`.
_FAILED = 1
_NOT_REACHABLE = 3
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Print, and return the exit status: 1 for a model that is damaged or cannot be had, 3 for no answer."""
    parser = argparse.ArgumentParser(prog="quire models", description="The files that the OCR engines need.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("list", "which there are, for which languages, and where they lie"),
        ("download", "fetch those that are missing or damaged"),
        ("verify", "compare them with their checksums"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--engine", choices=catalogue.ENGINES)
        command.add_argument("--lang")
        command.add_argument("--json", action="store_true")
        if name == "download":
            command.add_argument("--from", dest="base", help="a folder of models over HTTP, instead of the hub")
    parsed = parser.parse_args(arguments)
    try:
        settings = load_settings()
        return {"list": _list, "download": _download, "verify": _verify}[parsed.command](settings, parsed)
    except QuireError as error:
        print(f"quire: {error.code}: {error.message}", file=sys.stderr)
        return _NOT_REACHABLE if error.code == "models_unreachable" else _FAILED
    except OSError as error:
        if error.filename is None:
            raise
        print(f"quire: engine_unavailable: {error.filename} cannot be read: {error.strerror}.", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED


def _list(settings: Settings, parsed: argparse.Namespace) -> int:
    for model in catalogue.find(settings, parsed.engine, parsed.lang):
        outcome = "here" if model.is_here else "missing"
        _print(parsed, model, outcome, str(model.place))
    return 0


def _download(settings: Settings, parsed: argparse.Namespace) -> int:
    for model, fetched in fetch(settings, _chosen(settings, parsed), parsed.base):
        _print(parsed, model, "fetched" if fetched else "here", str(model.place))
    return 0


def _verify(settings: Settings, parsed: argparse.Namespace) -> int:
    status = 0
    named = parsed.engine or parsed.lang
    for model in _chosen(settings, parsed) if named else catalogue.find(settings):
        verdict = verify(model)
        if verdict.outcome == "missing" and not named:
            continue
        _print(parsed, model, verdict.outcome, verdict.found)
        if verdict.outcome in ("damaged", "missing"):
            status = _FAILED
    return status


def _chosen(settings: Settings, parsed: argparse.Namespace) -> Iterable[catalogue.Model]:
    """What the options name; without them what the settings need."""
    if parsed.engine is None and parsed.lang is None:
        return catalogue.needed(settings)
    return catalogue.find(settings, parsed.engine, parsed.lang or settings.paddleocr_lang)


def _print(parsed: argparse.Namespace, model: catalogue.Model, outcome: str, found: str) -> None:
    if parsed.json:
        value: dict[str, Any] = {
            "engine": model.engine,
            "model": model.name,
            "purpose": model.purpose,
            "languages": model.languages,
            "outcome": outcome,
            "found": found,
            "place": str(model.place),
            "bytes": model.size,
            "repository": model.repository,
        }
        print(json.dumps(value, ensure_ascii=False), flush=True)
        return
    languages = {0: "any language", 1: "".join(model.languages)}.get(
        len(model.languages), f"{len(model.languages)} languages"
    )
    size = f"{model.size / 1e6:,.1f} MB" if model.size else "-"
    columns = f"{outcome:<8} {model.engine:<11} {model.name:<34} {model.purpose:<26} {languages:<13} {size:>12}"
    print(f"{columns}  {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
