"""Quire as a worker on the ocr queue has it: several processes, each with an engine of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

from benchmarks.systems.base import PageResult
from benchmarks.systems.quire_engine import QuireSystem

_LOAD_SECONDS: Final = 300

# The system of a child process.
_loaded: list[QuireSystem] = []


class QuireProcesses:
    """A process for each core, as with `celery worker -c`; each reads one page at a time on a thread of its own."""

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0))
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(cores + 1)
        # What `runtime.pool` gives each process of a worker.
        os.environ["QUIRE_OCR_THREADS"] = "1"
        self._pool = context.Pool(cores, _load, (ready,))
        ready.wait(_LOAD_SECONDS)
        self._versions = self._pool.apply(_versions) | {"processes": cores}

    def versions(self) -> dict[str, Any]:
        """See `System.versions`."""
        return self._versions

    def read(self, images: Sequence[Path], document: Path | None) -> list[PageResult]:
        """See `System.read`. Each process renders the PDF pages it reads."""
        pages = [(document, number) for number in range(1, len(images) + 1)] if document else [(i, 1) for i in images]
        return self._pool.starmap(_read, pages, chunksize=1)


def _load(ready: Barrier) -> None:
    try:
        _loaded.append(QuireSystem(1))
    except BaseException:
        # Else the others, and the parent, would wait for this one.
        ready.abort()
        raise
    ready.wait(_LOAD_SECONDS)


def _versions() -> dict[str, Any]:
    return _loaded[0].versions()


def _read(path: Path, number: int) -> PageResult:
    return _loaded[0].read_one(path, number)
