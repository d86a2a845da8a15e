"""The engine alone: receipts read one after the other in a process without queue, database or storage.

The process lives through all rounds, as the worker's does, so that both have read the same pages before. Run as a
module it is that process: file names come in and what was measured goes out, one JSON value a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from benchmarks.receipts import ROOT


@dataclass(frozen=True)
class DirectRun:
    """One pass over the receipts. `wall` and `cpu` are seconds for all pages, `pages` seconds of each."""

    wall: float
    cpu: float
    pages: list[float]
    texts: list[str]


class DirectEngine:
    """The child process with its engine loaded, until the `with` block ends."""

    def __init__(self, model_dir: Path, log: Path) -> None:
        self._model_dir = model_dir
        self._log = log

    def read_all(self, images: Sequence[Path]) -> DirectRun:
        """Read every image once and wait for the end.

        Raises:
            RuntimeError: the process ended; the message has the end of its log.
        """
        self._send([str(image.absolute()) for image in images])
        return DirectRun(**self._receive())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        path = os.pathsep.join([str(ROOT / "apps" / "worker"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.direct"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": path, "QUIRE_MODEL_DIR": str(self._model_dir)},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        # Closes its standard input, at which it ends.
        self._process.communicate()

    def _send(self, request: Any) -> None:
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
            raise RuntimeError("The process that reads directly ended:\n" + "\n".join(lines))
        return json.loads(line)


def _serve(requests: IO[str], answers: IO[str]) -> None:
    from ocr.engines import create_engine
    from ocr.read import ReadOptions
    from quire.contracts import OcrOptions
    from quire.settings import get_settings

    settings = get_settings()
    engine = create_engine(settings)
    engine.warm_up()
    options = ReadOptions.resolve(OcrOptions(), settings)
    for request in requests:
        run = _read_all(json.loads(request), options, engine)
        print(json.dumps(asdict(run)), file=answers, flush=True)


def _read_all(paths: list[str], options: Any, engine: Any) -> DirectRun:
    from ocr.read import read_page
    from quire.pages import open_source

    pages: list[float] = []
    texts: list[str] = []
    started, cpu = time.perf_counter(), time.process_time()
    for path in paths:
        page_started = time.perf_counter()
        with open_source(Path(path)) as source:
            page = read_page(source, 1, options, engine)
        pages.append(time.perf_counter() - page_started)
        texts.append("\n".join(found.text for found in page.detections))
    return DirectRun(time.perf_counter() - started, time.process_time() - cpu, pages, texts)


def main() -> None:
    """Answer requests from standard input until it is closed."""
    # Libraries may print: their output goes where the errors go, the answers have the pipe to themselves.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
