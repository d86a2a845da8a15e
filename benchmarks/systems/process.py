"""A system in a child process of its own; run as a module it is that process."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.child import Answer, Child, serve
from benchmarks.process_use import cpu_seconds, peak_mib, rss_mib
from benchmarks.systems.base import Absent, System
from benchmarks.systems.catalog import Entry, load


@dataclass(frozen=True)
class Pass:
    """Some pages read once. `wall` and `cpu` are seconds for all of them.

    `rss` is the process's memory afterwards and `peak` the most it has ever had, loading included, both in MiB.
    """

    wall: float
    cpu: float
    rss: float
    peak: float
    texts: list[str]
    digests: list[str]


class SystemProcess:
    """The child process of an entry, its models loaded, until the `with` block ends. It writes to the file `log`."""

    def __init__(self, entry: Entry, log: Path, model_dir: Path) -> None:
        environment = {"QUIRE_MODEL_DIR": str(model_dir), **entry.environment}
        self._child = Child("benchmarks.systems.process", *entry.arguments, log=log, environment=environment)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def wait_until_loaded(self) -> dict[str, Any]:
        """Wait for the models and return the versions.

        Raises:
            Absent: the system is not on this machine.
            ChildEnded: the process ended.
        """
        answer: dict[str, Any] = self._child.ask(None)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer

    def read(self, images: Sequence[Path], document: Path | None = None) -> Pass:
        """Read the pages, of `document` where there is one and the system reads PDFs, and wait for the end.

        Raises:
            ChildEnded: the process ended.
        """
        paths = [str(image.absolute()) for image in images]
        return Pass(**self._child.ask({"images": paths, "document": document and str(document.absolute())}))

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)


def _prepare() -> Answer:
    try:
        system = load(*sys.argv[1:])
    except Absent as error:
        reason = str(error)
        return lambda _: {"absent": reason}
    return lambda request: system.versions() if request is None else asdict(_read(system, **request))


def _read(system: System, images: list[str], document: str | None) -> Pass:
    paths = [Path(image) for image in images]
    started, cpu = time.perf_counter(), cpu_seconds()
    results = system.read(paths, Path(document) if document else None)
    wall, used = time.perf_counter() - started, cpu_seconds() - cpu
    return Pass(
        wall, used, rss_mib(), peak_mib(), [result.text for result in results], [result.digest for result in results]
    )


if __name__ == "__main__":
    serve(_prepare)
