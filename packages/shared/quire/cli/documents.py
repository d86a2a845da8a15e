"""Commands about documents: they speak to the API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final
from uuid import UUID

import typer

from quire.cli.api import Api, Json
from quire.cli.exit_codes import ExitCode, UsageError
from quire.cli.output import JsonOption, console, messages, pages_of, print_document, print_json, print_table
from quire.cli.progress import ByteBar, CountBar
from quire.settings import load_settings

IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="Id of the document.")]

_CHUNK_BYTES: Final = 64 * 1024


class Format(StrEnum):
    """What a document can be exported as."""

    TXT = "txt"
    JSON = "json"
    MD = "md"
    TABLES_HTML = "tables-html"
    TABLES_CSV = "tables-csv"
    TABLES_XLSX = "tables-xlsx"
    HOCR = "hocr"
    ALTO = "alto"
    PDF = "pdf"
    OVERLAY = "overlay"


_BINARY: Final = frozenset({Format.PDF, Format.OVERLAY, Format.TABLES_XLSX})


class Priority(StrEnum):
    """Which documents go first."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Mode(StrEnum):
    """What is read of a page."""

    TEXT = "text"
    STRUCTURE = "structure"


class TextLayer(StrEnum):
    """What is done with a PDF page's own text."""

    AUTO = "auto"
    NEVER = "never"
    ONLY = "only"


class Status(StrEnum):
    """Statuses of documents."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


def submit(
    file: Annotated[Path | None, typer.Argument(help="A file to upload.")] = None,
    key: Annotated[str | None, typer.Option(help="Key of an object that is in storage already.")] = None,
    bucket: Annotated[str | None, typer.Option(help="Its bucket, where it is not the default one.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the API shall fetch the document.")] = None,
    pages: Annotated[str | None, typer.Option(help='Such as "1-3,7".')] = None,
    lang: Annotated[list[str] | None, typer.Option(help="Expected language; may be given several times.")] = None,
    mode: Annotated[Mode, typer.Option(help="Lines of text, or blocks, tables and pictures as well.")] = Mode.TEXT,
    text_layer: Annotated[TextLayer, typer.Option(help="A PDF page's own text.")] = TextLayer.AUTO,
    dpi: Annotated[int | None, typer.Option(min=36, max=600)] = None,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    doc_orientation: Annotated[bool, typer.Option("--doc-orientation", help="Read turned images upright.")] = False,
    doc_unwarping: Annotated[bool, typer.Option("--doc-unwarping", help="Flatten images of bent pages.")] = False,
    textline_orientation: Annotated[
        bool, typer.Option("--textline-orientation", help="Read upside-down lines upright.")
    ] = False,
    priority: Annotated[Priority, typer.Option()] = Priority.INTERACTIVE,
    owner: Annotated[str | None, typer.Option(help="Whose document it is, where the API uses no keys.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again gets the document of the first time.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has been read.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send a document: a FILE, a --key in storage, or a --url."""
    if sum(source is not None for source in (file, key, url)) != 1:
        raise UsageError("Name one document: a FILE, --key or --url.")
    options = {
        "pages": pages,
        "lang_hints": lang or None,
        "mode": mode.value,
        "text_layer": text_layer.value,
        "dpi": dpi,
        "min_confidence": min_confidence,
        # Left out where they are not asked for, as an API of before knows none of them.
        "doc_orientation": doc_orientation or None,
        "doc_unwarping": doc_unwarping or None,
        "textline_orientation": textline_orientation or None,
        "priority": priority.value,
        "owner": owner,
    }
    known = {name: value for name, value in options.items() if value is not None}
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    with Api(load_settings()) as api:
        if file is not None:
            document = _upload(api, file, known, headers)
        else:
            source = {"key": key, "bucket": bucket} if key is not None else {"url": url}
            body = known | {name: value for name, value in source.items() if value is not None}
            document = api.call("POST", "/documents/import", json=body, headers=headers)
        if wait:
            document = _follow(api, document["id"])
    print_document(document, as_json=as_json)
    if wait:
        raise typer.Exit(_outcome(document))


def status(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """How far a document is."""
    with Api(load_settings()) as api:
        print_document(api.call("GET", f"/documents/{document_id}"), as_json=as_json)


def list_(
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    filename: Annotated[str | None, typer.Option(help="Only those with this in their name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Documents, the newest first."""
    filters = {"status": status and status.value, "filename": filename}
    with Api(load_settings()) as api:
        found = list(_listed(api, {name: value for name, value in filters.items() if value}, limit))
    if as_json:
        for document in found:
            print_json(document)
        return
    rows = [
        (document["id"], document["status"], pages_of(document), document["created_at"], document.get("filename"))
        for document in found
    ]
    print_table(("id", "status", "pages", "created", "file"), rows)


def watch(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """Wait until a document has been read, with a bar of its pages. Ends with 1 if pages of it failed."""
    with Api(load_settings()) as api:
        document = _follow(api, document_id)
    print_document(document, as_json=as_json)
    raise typer.Exit(_outcome(document))


def export(
    document_id: IdArgument,
    format_: Annotated[Format, typer.Option("--format", "-f", help="What to make of it.")] = Format.TXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else the terminal or pipe.")] = None,
    page: Annotated[int | None, typer.Option(min=1, help="The page of an overlay.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Save what was read: text, JSON, Markdown, hOCR, ALTO, a searchable PDF, or an overlay of one page."""
    if (format_ is Format.OVERLAY) != (page is not None):
        raise UsageError("An overlay is of one page: --format overlay --page N.")
    if output is None and format_ in _BINARY and sys.stdout.isatty():
        raise UsageError(f"A terminal cannot show {format_.value}: name a file with -o.")
    if output is None and as_json:
        raise UsageError("--json says where the file is: name one with -o.")
    params = {} if page is None else {"page": page}
    path = f"/documents/{document_id}/export/{format_.value}"
    with Api(load_settings()) as api:
        size = save_download(api, path, params, output)
    if output is not None and as_json:
        print_json({"id": str(document_id), "format": format_.value, "file": str(output), "bytes": size})
    elif output is not None:
        messages.print(f"{output}: {size:,} bytes")


def cancel(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """Stop reading a document; pages in work are finished."""
    with Api(load_settings()) as api:
        print_document(api.call("POST", f"/documents/{document_id}/cancel"), as_json=as_json)


def retry(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """Read the failed pages of a document again, those alone."""
    with Api(load_settings()) as api:
        print_document(api.call("POST", f"/documents/{document_id}/retry"), as_json=as_json)


def delete(document_id: IdArgument, as_json: JsonOption = False) -> None:
    """Delete a document: its file, its pages, its text."""
    with Api(load_settings()) as api:
        api.call("DELETE", f"/documents/{document_id}")
    if as_json:
        print_json({"id": str(document_id), "deleted": True})
    else:
        console.print(f"{document_id}  deleted")


def _upload(api: Api, file: Path, options: Json, headers: dict[str, str]) -> Json:
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    with file.open("rb") as content, ByteBar("upload", file.stat().st_size) as bar:
        upload = {"file": (file.name, bar.reading(content))}
        return api.call("POST", "/documents", files=upload, data=options, headers=headers)


def _follow(api: Api, document_id: object) -> Json:
    with CountBar("pages") as bar:
        document: Json = {}
        for document in api.follow(document_id):
            bar.show(document["pages_done"] + document["pages_failed"], document["pages_total"])
    return document


def _outcome(document: Json) -> ExitCode:
    return ExitCode.OK if document["status"] == "completed" else ExitCode.FAILED


def _listed(api: Api, filters: Json, limit: int) -> Iterator[Json]:
    cursor: Any = None
    left = limit
    while left > 0:
        params = filters | {"limit": min(left, 200)} | ({"cursor": cursor} if cursor else {})
        answer = api.call("GET", "/documents", params=params)
        yield from answer["items"]
        left -= len(answer["items"])
        cursor = answer["next_cursor"]
        if not cursor:
            return


def save_download(api: Api, path: str, params: Json, output: Path | None) -> int:
    """Write an answer's body to a file, which is there once it is complete, or to stdout; its size in bytes."""
    size = 0
    with ExitStack() as stack:
        answer = stack.enter_context(api.download(path, params))
        if output is None:
            target: BinaryIO = sys.stdout.buffer
            partial = None
        else:
            partial = output.with_name(f"{output.name}.part")
            stack.callback(partial.unlink, missing_ok=True)
            target = stack.enter_context(_created(partial))
        bar = stack.enter_context(ByteBar("download", int(answer.headers.get("Content-Length", 0)) or None))
        for chunk in answer.iter_bytes(_CHUNK_BYTES):
            size += target.write(chunk)
            bar.advance(len(chunk))
        target.flush()
        if partial is not None and output is not None:
            partial.replace(output)
    return size


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be written to: {error.strerror}.") from None
