"""A model's files, fetched to their place: gone on with where it broke off, compared, and there whole or not at all."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from ocr.engines.lean.digest import file_digest
from ocr.model_store.catalogue import Model
from ocr.model_store.checksums import SUMS, verify
from ocr.model_store.sources import RemoteFile, Source, reaching
from quire.errors import EngineUnavailable, ModelDamaged

_ATTEMPTS: Final = 2


def download(client: httpx.Client, source: Source, model: Model) -> bool:
    """Fetch a model that is not there, or is damaged; False if there was nothing to fetch.

    Several processes may do so at once: one fetches, the others wait for it.

    Raises:
        ModelsUnreachable: the source does not answer. What has come is kept, and the next call goes on from there.
        ModelDamaged: the source's files are not those that it announces, or not all that the engine needs.
        EngineUnavailable: the directory cannot be written.
    """
    try:
        model.place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(model.place.with_name(f".{model.place.name}.lock")):
            if verify(model).outcome in ("ok", "unknown"):
                return False
            _refuse_to_replace(model.place)
            _fetch(client, source, model)
    except OSError as error:
        raise EngineUnavailable(
            f"{model.name} cannot be written to {model.place} (QUIRE_MODEL_DIR): {error.strerror or error}."
        ) from error
    return True


def _refuse_to_replace(place: Path) -> None:
    """A directory is replaced only where this module has made it."""
    if place.exists() and not (place / SUMS).is_file() and (place.is_file() or any(place.iterdir())):
        raise EngineUnavailable(
            f"{place} is there already, is not complete, and was not downloaded. Move it away first."
        )


def _fetch(client: httpx.Client, source: Source, model: Model) -> None:
    partial = model.place.with_name(f".{model.place.name}.partial")
    partial.mkdir(exist_ok=True)
    files = source.files(model)
    for file in files:
        _fetch_file(client, file, partial / file.path)
    # What an earlier state of the source had besides.
    for path in [path for path in partial.rglob("*") if path.is_file()]:
        if path.relative_to(partial).as_posix() not in {file.path for file in files}:
            path.unlink()
    missing = [names for names in model.needs if not any((partial / name).is_file() for name in names)]
    if missing:
        raise ModelDamaged(f"The source's {model.name} has no {', '.join(' or '.join(names) for names in missing)}.")
    sums = "".join(f"{file_digest(partial / file.path)}  {file.path}\n" for file in files)
    (partial / SUMS).write_text(sums, encoding="utf-8")
    if model.place.exists():
        shutil.rmtree(model.place)
    partial.rename(model.place)


def _fetch_file(client: httpx.Client, file: RemoteFile, target: Path) -> None:
    """Into `target`, by way of a file beside it that a broken connection leaves for the next attempt."""
    if target.is_file() and file.matches(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for _ in range(_ATTEMPTS):
        with reaching(file.url):
            _append(client, file, part)
        if file.matches(part):
            part.replace(target)
            return
        # What was there from before may be of another state of the source: from the beginning, then.
        part.unlink()
    raise ModelDamaged(f"{file.url} is not the file that its source announces: its checksum differs.")


def _append(client: httpx.Client, file: RemoteFile, part: Path) -> None:
    size = part.stat().st_size if part.exists() else 0
    if size and file.matches(part):
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
    with client.stream("GET", file.url, headers=headers) as answer:
        if answer.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            answer.raise_for_status()
            goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with part.open("ab" if goes_on else "wb") as out:
                # Without a size: what has come when a connection breaks is written already.
                for piece in answer.iter_bytes():
                    out.write(piece)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
