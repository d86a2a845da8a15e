"""Tesseract's command line, a process for each page."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.systems.base import Absent, PageResult


class Tesseract:
    """`tesseract FILE stdout --psm 6` with the language it has by default (English)."""

    def __init__(self) -> None:
        program = shutil.which("tesseract")
        if program is None:
            raise Absent("not installed")
        self._program = program

    def versions(self) -> dict[str, Any]:
        """See `System.versions`."""
        return {"tesseract": self._run("--version").splitlines()[0].removeprefix("tesseract ")}

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """See `System.read`. It reads the pictures."""
        texts = (self._run(str(image), "stdout", "--psm", "6") for image in images)
        return [PageResult.of_lines([(text, None)]) for text in texts]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([self._program, *arguments], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout
