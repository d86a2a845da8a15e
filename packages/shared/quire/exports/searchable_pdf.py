"""Under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from quire.contracts import PageText
from quire.exports.base import ExportInfo


def write(info: ExportInfo, pages: Iterator[PageText], out: BinaryIO, source: Path | None) -> None:
    raise NotImplementedError
