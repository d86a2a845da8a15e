"""The engine alone: receipts read one after the other in a process without queue, database or storage.

The process lives through all rounds, as the worker's does, so that both have read the same pages before. Run as a
module it is that process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.child import Answer, Child, serve


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
        self._child = Child("benchmarks.direct", log=log, environment={"QUIRE_MODEL_DIR": str(model_dir)})

    def read_all(self, images: Sequence[Path]) -> DirectRun:
        """Read every image once and wait for the end.

        Raises:
            ChildEnded: the process ended.
        """
        return DirectRun(**self._child.ask([str(image.absolute()) for image in images]))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)


def _prepare() -> Answer:
    from ocr.engines import create_engine
    from ocr.read import ReadOptions
    from quire.contracts import OcrOptions
    from quire.settings import get_settings

    settings = get_settings()
    engine = create_engine(settings)
    engine.warm_up()
    options = ReadOptions.resolve(OcrOptions(), settings)
    return lambda paths: asdict(_read_all(paths, options, engine))


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


if __name__ == "__main__":
    serve(_prepare)
