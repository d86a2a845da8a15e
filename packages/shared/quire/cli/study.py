"""Commands about study aids: they speak to the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.markup import escape

from quire.cli.api import Api, Json
from quire.cli.documents import IdArgument, save_download
from quire.cli.exit_codes import ExitCode, UsageError
from quire.cli.output import JsonOption, console, messages, print_json, print_table
from quire.cli.progress import CountBar
from quire.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Summaries, flashcards and quizzes of documents that were read.")

AidArgument = Annotated[UUID, typer.Argument(metavar="AID", help="Id of the study aid.")]

_POLL_SECONDS: Final = 1.0
_OPEN: Final = frozenset({"waiting", "queued", "running"})
_COLOURS: Final = {"completed": "green", "failed": "red", "unavailable": "red"}


class Kind(StrEnum):
    """What can be made of a document."""

    SUMMARY = "summary"
    FLASHCARDS = "flashcards"
    QUIZ = "quiz"


class Style(StrEnum):
    """How a summary is written."""

    SHORT = "short"
    BULLETS = "bullets"
    SECTIONS = "sections"


class Difficulty(StrEnum):
    """How hard flashcards are."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
    MIXED = "mixed"


class QuestionKind(StrEnum):
    """What a quiz asks."""

    SINGLE_CHOICE = "single_choice"
    MULTIPLE_CHOICE = "multiple_choice"
    TRUE_FALSE = "true_false"
    SHORT_ANSWER = "short_answer"


class Format(StrEnum):
    """What a study aid can be exported as; the last two are for flashcards."""

    MD = "md"
    JSON = "json"
    CSV = "csv"
    APKG = "apkg"


# The options that each kind takes, besides its language.
_TAKEN: Final = {
    Kind.SUMMARY: {"style"},
    Kind.FLASHCARDS: {"count", "difficulty"},
    Kind.QUIZ: {"count", "kinds"},
}


@app.command()
def request(
    document_id: IdArgument,
    kind: Annotated[Kind, typer.Argument(help="What to make of it.")],
    style: Annotated[Style | None, typer.Option(help="Of a summary.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Cards or questions, at most.")] = None,
    difficulty: Annotated[Difficulty | None, typer.Option(help="Of flashcards.")] = None,
    question: Annotated[
        list[QuestionKind] | None, typer.Option(help="Kind of a quiz's questions; may be given several times.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="By default the document's own.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is made.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a study aid made. Asked for again with the same options, it is the same one."""
    given = {"style": style, "count": count, "difficulty": difficulty, "kinds": question or None}
    options: Json = {name: value for name, value in given.items() if value is not None}
    if foreign := sorted(set(options) - _TAKEN[kind]):
        raise UsageError(f"{', '.join(foreign).replace('kinds', 'question')}: not an option of {kind.value}.")
    if language is not None:
        options["language"] = language
    with Api(load_settings()) as api:
        aid = api.call("POST", _path(document_id), json={"kind": kind.value, "options": options})
        if wait:
            aid = _follow(api, document_id, aid["id"])
    _print_aid(aid, as_json=as_json)
    if wait:
        raise typer.Exit(_outcome(aid))


@app.command("list")
def list_(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """A document's study aids, the newest first."""
    with Api(load_settings()) as api:
        found = list(_listed(api, document_id))
    if as_json:
        for aid in found:
            print_json(aid)
        return
    rows = [(aid["id"], aid["kind"], aid["status"], _parts_of(aid), aid["created_at"]) for aid in found]
    print_table(("id", "kind", "status", "parts", "created"), rows)


@app.command()
def show(document_id: IdArgument, aid_id: AidArgument, as_json: JsonOption = False) -> None:
    """How far a study aid is, and once it is made what is in it, with the words of the document."""
    with Api(load_settings()) as api:
        aid = api.call("GET", _path(document_id, aid_id))
        _print_aid(aid, as_json=as_json)
        if aid["status"] == "completed" and not as_json:
            sys.stdout.write("\n")
            sys.stdout.flush()
            save_download(api, f"{_path(document_id, aid_id)}/export/md", {}, None)


@app.command()
def watch(document_id: IdArgument, aid_id: AidArgument, as_json: JsonOption = False) -> None:
    """Wait until a study aid is made. Ends with 1 if it cannot be."""
    with Api(load_settings()) as api:
        aid = _follow(api, document_id, aid_id)
    _print_aid(aid, as_json=as_json)
    raise typer.Exit(_outcome(aid))


@app.command()
def export(
    document_id: IdArgument,
    aid_id: AidArgument,
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to make of it.")] = Format.MD,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else the terminal or pipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Save a study aid: Markdown, JSON; flashcards as CSV or an Anki package, too."""
    if output is None and format_ is Format.APKG and sys.stdout.isatty():
        raise UsageError("A terminal cannot show apkg: name a file with -o.")
    if output is None and as_json:
        raise UsageError("--json says where the file is: name one with -o.")
    with Api(load_settings()) as api:
        size = save_download(api, f"{_path(document_id, aid_id)}/export/{format_.value}", {}, output)
    if output is not None and as_json:
        print_json({"id": str(aid_id), "format": format_.value, "file": str(output), "bytes": size})
    elif output is not None:
        messages.print(f"{output}: {size:,} bytes")


@app.command()
def rerun(document_id: IdArgument, aid_id: AidArgument, as_json: JsonOption = False) -> None:
    """Make a study aid again; one that failed goes on where it did."""
    with Api(load_settings()) as api:
        _print_aid(api.call("POST", f"{_path(document_id, aid_id)}/rerun"), as_json=as_json)


def _listed(api: Api, document_id: object) -> Iterator[Json]:
    cursor: Any = ""
    while cursor is not None:
        answer = api.call("GET", _path(document_id), params={"cursor": cursor} if cursor else {})
        yield from answer["items"]
        cursor = answer["next_cursor"]


def _path(document_id: object, aid_id: object = None) -> str:
    return f"/documents/{document_id}/artifacts" + (f"/{aid_id}" if aid_id is not None else "")


def _follow(api: Api, document_id: object, aid_id: object) -> Json:
    with CountBar("parts") as bar:
        while True:
            aid = api.call("GET", _path(document_id, aid_id))
            bar.show(aid["windows_done"], aid["windows_total"])
            if aid["status"] not in _OPEN:
                return aid
            time.sleep(_POLL_SECONDS)


def _outcome(aid: Json) -> ExitCode:
    return ExitCode.OK if aid["status"] == "completed" else ExitCode.FAILED


def _print_aid(aid: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(aid)
        return
    status = str(aid["status"])
    console.print(f"{aid['id']}  {aid['kind']}  [{_COLOURS.get(status, 'default')}]{status}[/]  {_parts_of(aid)}")
    tokens = aid["tokens"]
    if tokens["requests"]:
        cost = "" if tokens["cost"] is None else f", cost {tokens['cost']:.4f}"
        console.print(f"  tokens   {tokens['input']:,} in, {tokens['output']:,} out{cost}")
    if aid["result"] is not None:
        dropped = {name: number for name, number in aid["result"]["dropped"].items() if number}
        if dropped:
            console.print(f"  dropped  {', '.join(f'{name} {number}' for name, number in dropped.items())}")
    if aid["error"]:
        console.print(f"  [red]{aid['error']['code']}: {escape(aid['error']['message'])}[/]")


def _parts_of(aid: Mapping[str, Any]) -> str:
    """How many parts of the document were asked about, in words. Some are asked about twice."""
    total = aid["windows_total"]
    if total is None or aid["status"] not in _OPEN:
        return ""
    return f"{min(aid['windows_done'], total)} of {total} parts"
