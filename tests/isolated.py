"""Reading a document in a process of its own: what crashes or hangs there is an outcome here.

`python -m tests.isolated` is that process: it takes a job a line and answers with a line each.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

# Above what any document may take, so that a test sees how much it took; below what the machine has.
_ADDRESS_SPACE: Final = 6 * 2**30
_START_SECONDS: Final = 60


@dataclass(frozen=True)
class Job:
    """A file, and how it is read: its first `pages` pages, each with every one of `text_layers`."""

    path: str
    dpi: float = 180
    pages: int = 3
    text_layers: tuple[str, ...] = ("auto", "never")
    max_image_pixels: int = 100_000_000
    max_render_pixels: int = 25_000_000


@dataclass(frozen=True)
class Outcome:
    """How reading ended.

    `codes` counts what became of its pages: "read", or an error's code; a file that does not open has one of these.
    `detail` is a traceback, `grown` the MiB by which the process' memory was larger at most than before the file.
    """

    ended: Literal["well", "failed", "crashed", "hung"]
    codes: dict[str, int]
    detail: str = ""
    grown: float = 0.0
    seconds: float = 0.0

    @property
    def is_typed(self) -> bool:
        """Whether everything that was asked for ended in a result or in an error with a code of its own."""
        return self.ended == "well" and "internal" not in self.codes


class IsolatedReader:
    """Reads documents in a child process, and in the next one where that has ended. Use it in a `with` statement."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # It lives as long as this does.
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, job: Job) -> Outcome:
        """Read one document; never raises because of it."""
        child = self._running()
        assert child.stdin is not None
        started = time.monotonic()
        # A child that has ended does not take the job: its answer is missing, too.
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            child.stdin.flush()
        answer = self._answer(child, self._timeout)
        if answer:
            return Outcome(**json.loads(answer))
        seconds = time.monotonic() - started
        self._stop()
        if answer is None:
            return Outcome("hung", {}, f"no answer in {self._timeout:.0f} s", seconds=seconds)
        return Outcome("crashed", {}, f"exit status {child.returncode}\n{self._last_words()}", seconds=seconds)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._errors.truncate(0)
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.isolated"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=Path(__file__).parents[1],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            )
            if not self._answer(self._child, _START_SECONDS):
                self._stop()
                raise RuntimeError(f"the reading process does not start:\n{self._last_words()}")
        return self._child

    def _answer(self, child: subprocess.Popen[bytes], timeout: float) -> bytes | None:
        """The child's next line; empty if it has ended, None if there is none in time."""
        assert child.stdout is not None
        ready, _, _ = select.select([child.stdout], [], [], timeout)
        return child.stdout.readline() if ready else None

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4000))
        return self._errors.read().decode(errors="replace")

    def _stop(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._errors.close()


def _serve() -> None:
    """Answer a line for each job. Libraries print where they like: the answers have a descriptor of their own."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _load_everything()
    print("ready", file=answers)
    for line in sys.stdin:
        print(json.dumps(asdict(_outcome(Job(**json.loads(line))))), file=answers)


def _load_everything() -> None:
    """Before the first job, so that none is charged for it."""
    from quire.cli.samples import sample_pdf

    with tempfile.NamedTemporaryFile() as file:
        file.write(sample_pdf())
        file.flush()
        _outcome(Job(file.name))


def _outcome(job: Job) -> Outcome:
    before, started = _reset_peak(), time.monotonic()
    codes: Counter[str] = Counter()
    detail = ""
    try:
        for code in _codes(job):
            codes[code] += 1
    except BaseException:
        detail = traceback.format_exc()
    return Outcome(
        ended="failed" if detail else "well",
        codes=dict(codes),
        detail=detail,
        grown=round(_memory("VmHWM") - before, 1),
        seconds=round(time.monotonic() - started, 3),
    )


def _codes(job: Job) -> Iterator[str]:
    """What becomes of the file, or of each of its pages: as the worker opens it, reads it and stores the result."""
    from quire.errors import QuireError
    from quire.pages import PageLimits, open_source

    limits = PageLimits(max_image_pixels=job.max_image_pixels, max_render_pixels=job.max_render_pixels)
    try:
        with open_source(Path(job.path), limits) as source:
            for number in range(1, min(source.page_count, job.pages) + 1):
                for text_layer in job.text_layers:
                    yield _read(source, number, job.dpi, text_layer)
    except QuireError as error:
        yield error.code


def _read(source: Any, number: int, dpi: float, text_layer: str) -> str:
    from ocr.read import ReadOptions, read_page
    from quire.errors import QuireError
    from tests.engines import InstantEngine

    try:
        page = read_page(source, number, ReadOptions(dpi, 0.5, ("en",), text_layer), InstantEngine())
    except QuireError as error:
        return error.code
    # Neither JSON nor Postgres takes what is no number, a NUL or half a surrogate pair.
    stored = json.dumps(page.model_dump(mode="python"), allow_nan=False, ensure_ascii=False).encode()
    if b"\\u0000" in stored:
        raise ValueError("there is a NUL in the text")
    return "read"


def _reset_peak() -> float:
    """Forget the largest memory so far; the memory now, in MiB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


if __name__ == "__main__":
    _serve()
