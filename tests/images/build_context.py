"""What `.dockerignore` leaves of the repository for `COPY`."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

from tests.images.dockerfile import ROOT


def is_sent(path: str) -> bool:
    """Whether a path, relative to the root, reaches the builder: the last pattern that matches it or a folder above."""
    sent = True
    parents = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for excludes, pattern in _patterns():
        if any(pattern.fullmatch(each) for each in parents):
            sent = not excludes
    return sent


def copy_into(source: str, target: Path) -> None:
    """Copy a file, or what a folder holds, as `COPY` would."""
    path = ROOT / source
    if path.is_file():
        assert is_sent(source), f"{source} is in .dockerignore"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for child in path.iterdir():
        # A folder may hold something that is sent although it is not: only those of the top level do.
        if is_sent(f"{source}/{child.name}"):
            copy_into(f"{source}/{child.name}", target / child.name)


@cache
def _patterns() -> list[tuple[bool, re.Pattern[str]]]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [(not rule.startswith("!"), _expression(rule.lstrip("!").strip("/"))) for rule in rules]


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(part, re.escape(part)) for part in parts))
