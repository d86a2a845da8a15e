"""Cold start: from the start of a fresh process, `python -m ocr --format json FILE`, to its first page.

The files it reads, libraries among them, are in the operating system's cache: an earlier start has read them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.child import worker_environment
from benchmarks.peers_summary import Spread
from benchmarks.receipts import ROOT

# Networks as OpenVINO compiled them, below `QUIRE_MODEL_DIR`.
COMPILE_CACHE: Final = Path("lean") / "compiled"
# A line of `python -X importtime`: a module's own microseconds, those with what it imports, and its name.
_IMPORT: Final = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)


@dataclass(frozen=True)
class ColdStart:
    """`seconds` from process start to the first page, of each start.

    One more start counted its imports: they took `import_seconds` of the `traced_seconds` to its first page.
    """

    title: str
    seconds: list[float]
    import_seconds: float
    traced_seconds: float

    @property
    def first_page(self) -> Spread:
        """Median, least and most of `seconds`."""
        spread = Spread.of(self.seconds)
        assert spread is not None
        return spread

    @property
    def import_share(self) -> float:
        """Which share of a start went into imports, 0 to 1."""
        return self.import_seconds / self.traced_seconds

    def to_json(self) -> dict[str, Any]:
        """All starts and their median, in seconds."""
        return {
            "title": self.title,
            "first_page_seconds": round(self.first_page.median, 3),
            "starts": [round(seconds, 3) for seconds in self.seconds],
            "import_seconds": round(self.import_seconds, 3),
            "import_share": round(self.import_share, 3),
        }


def cold_starts(image: Path, scratch: Path, count: int = 5) -> list[ColdStart]:
    """Measure `count` starts of each kind: with nothing prepared, without the compile cache, and with everything.

    Raises:
        RuntimeError: the command failed.
    """
    kept = scratch / "kept"
    starts = [_measure("the first start: QUIRE_MODEL_DIR empty", image, kept, kept, count)]
    if (kept / COMPILE_CACHE).is_dir():
        starts.append(_measure("models prepared, no compile cache", image, kept, kept / COMPILE_CACHE, count))
    return [*starts, _measure("everything an earlier start left", image, kept, None, count)]


def first_page_seconds(
    image: Path, environment: Mapping[str, str], *options: str, log: IO[bytes] | None = None
) -> float:
    """Seconds from starting the process to the first line of its output. Options are the interpreter's.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryFile() as scratch:
        errors = log or scratch
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *options, "-m", "ocr", "--format", "json", str(image)],
            cwd=ROOT,
            env=worker_environment(environment),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.communicate()
        if process.returncode or not line:
            errors.seek(0)
            raise RuntimeError(f"python -m ocr {image} failed:\n{errors.read().decode(errors='replace')[-2000:]}")
    return seconds


def import_seconds(trace: str) -> float:
    """The seconds that all imports took together, from what `python -X importtime` wrote."""
    return sum(int(microseconds) for microseconds in _IMPORT.findall(trace)) / 1e6


def _measure(title: str, image: Path, kept: Path, removed: Path | None, count: int) -> ColdStart:
    """Starts with `kept` as `QUIRE_MODEL_DIR`, the folder `removed` deleted before each; they leave `kept` filled."""
    environment = {"QUIRE_MODEL_DIR": str(kept)}

    def prepare() -> None:
        if removed is not None:
            shutil.rmtree(removed, ignore_errors=True)

    seconds = []
    for _ in range(count):
        prepare()
        seconds.append(first_page_seconds(image, environment))
    prepare()
    return ColdStart(title, seconds, *_traced(image, environment))


def _traced(image: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds spent importing, and those to the first page."""
    with tempfile.TemporaryFile() as log:
        seconds = first_page_seconds(image, environment, "-X", "importtime", log=log)
        log.seek(0)
        return import_seconds(log.read().decode(errors="replace")), seconds
