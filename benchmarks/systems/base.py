"""What every compared system can do."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Absent(Exception):
    """The system is not on this machine; the message says what is missing."""


@dataclass(frozen=True)
class PageResult:
    """What a system read on one page. `digest` is equal where text and boxes are."""

    text: str
    digest: str

    @classmethod
    def of_lines(cls, lines: Sequence[tuple[str, Any]]) -> PageResult:
        """From `(text, box)` of each line; a box is anything that can be written as JSON."""
        # Sorted, because the order in which a system finds the lines of a page is no part of what it read.
        content = json.dumps(sorted(json.dumps(line) for line in lines))
        return cls("\n".join(text for text, _ in lines), hashlib.sha256(content.encode()).hexdigest())


class System(Protocol):
    """An OCR system with its models loaded."""

    def versions(self) -> dict[str, Any]:
        """Versions, and whatever else decides speed and text."""

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """Read these picture files; a system that reads PDFs reads the first pages of `document` instead, if given."""


def require(package: str) -> None:
    """Refuse to go on without a package.

    Raises:
        Absent: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise Absent("not installed")
