"""Whether a model's files are what was published: against a table, or against what was written down at the download."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from ocr.engines.lean.digest import file_digest
from ocr.model_store.catalogue import Model

# As `sha256sum` writes it: a line for each file, its digest and its path below the directory.
SUMS: Final = "SHA256SUMS"

# SHA-256 of the files that come with one version of a package, by name.
_KNOWN: Final = json.loads(Path(__file__).with_name("known.json").read_text(encoding="utf-8"))

Outcome = Literal["ok", "damaged", "missing", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What became of checking a model: `unknown` where nothing says what its files should be."""

    outcome: Outcome
    found: str


def verify(model: Model) -> Verdict:
    """Compare a model's files with what is known of them."""
    if not model.is_here:
        return Verdict("missing", f"not in {model.place}")
    if model.place.is_file():
        return _against({model.place.name: _published(model.place.name)}, model.place.parent)
    sums = read_sums(model.place)
    if sums is None:
        return Verdict("unknown", f"{model.place} has no {SUMS}")
    needed = {name for names in model.needs for name in names if (model.place / name).is_file()}
    unnamed = sorted(needed - sums.keys())
    if unnamed:
        return Verdict("unknown", f"{SUMS} does not name {', '.join(unnamed)}")
    return _against(dict(sums), model.place)


def read_sums(directory: Path) -> dict[str, str] | None:
    """SHA-256 as hex by path, as the directory's `SHA256SUMS` has them; None where there is none that can be read."""
    try:
        return parse_sums((directory / SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def parse_sums(text: str) -> dict[str, str]:
    """The lines of a `SHA256SUMS`.

    Raises:
        ValueError: it is none, or names a file outside of its directory.
    """
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        digest, _, path = line.partition(" ")
        name = path.strip().removeprefix("*").removeprefix("./")
        if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
            raise ValueError(f"{line[:80]!r} is no line of {SUMS}")
        found[safe_path(name)] = digest.lower()
    if not found:
        raise ValueError(f"an empty {SUMS}")
    return found


def safe_path(name: str) -> str:
    """A path that stays below its directory.

    Raises:
        ValueError: it does not.
    """
    parts = name.split("/")
    if not name or "\\" in name or any(part in ("", ".", "..") or "\x00" in part for part in parts):
        raise ValueError(f"{name!r} is no path below a directory")
    return name


def _published(name: str) -> str | None:
    """The digest of a file in the installed version of its package; None where it is not known."""
    digest: str | None = _KNOWN["files"].get(name)
    try:
        return digest if version(_KNOWN["package"]) == _KNOWN["version"] else None
    except PackageNotFoundError:
        return None


def _against(expected: dict[str, str | None], directory: Path) -> Verdict:
    for name, digest in expected.items():
        path = directory / name
        if digest is None:
            return Verdict("unknown", f"sha256 {file_digest(path)}")
        if not path.is_file():
            return Verdict("damaged", f"{name} is missing")
        if file_digest(path) != digest:
            return Verdict("damaged", f"{name} is not what was published")
    return Verdict("ok", f"{len(expected)} {'file' if len(expected) == 1 else 'files'}")
