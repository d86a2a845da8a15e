"""What `python -m benchmarks.memory` reads, notes and compares."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import long_run, process_use
from benchmarks.long_run import CHECKPOINTS, Workplace, groups, measure, spread
from benchmarks.systems.catalog import Entry
from benchmarks.systems.process import Pass


@pytest.mark.parametrize(("pages", "size"), [(1000, 4), (1000, 7), (30, 4), (25, 1), (1, 4)])
def test_groups_have_every_page_once_and_end_at_the_checkpoints(pages: int, size: int):
    found = list(groups(pages, size))
    assert [number for group in found for number in group] == list(range(pages))
    assert max(len(group) for group in found) <= size
    assert {group.stop for group in found} >= {checkpoint for checkpoint in CHECKPOINTS if checkpoint <= pages}


@pytest.mark.parametrize(
    ("pages", "count", "numbers"), [(1000, 4, [249, 499, 749, 999]), (3, 10, [0, 1, 2]), (5, 1, [4]), (1, 1, [0])]
)
def test_sample_has_the_last_page_and_others_at_equal_distances(pages: int, count: int, numbers: list[int]):
    assert spread(pages, count) == numbers


class FakeProcess:
    """Reads page n as "n"; the first process makes a mistake on the pages in `wrong`. Memory grows by 1 MiB a page."""

    started = 0
    wrong: frozenset[int] = frozenset()

    def __init__(self, entry: Entry, log: Path, model_dir: Path) -> None:
        type(self).started += 1
        self._first = self.started == 1
        self._read = 0

    def __enter__(self) -> FakeProcess:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def wait_until_loaded(self) -> dict[str, Any]:
        return {}

    def read(self, images: Sequence[Path]) -> Pass:
        digests = [image.read_text() for image in images]
        if self._first:
            digests = ["wrong" if int(digest) in self.wrong else digest for digest in digests]
        self._read += len(images)
        return Pass(2.0, 1.0, float(self._read), 500.0, digests, digests)


@pytest.mark.parametrize(("wrong", "different"), [((), []), ((29,), [30]), ((9, 12, 19), [10, 20])])
def test_memory_is_noted_and_pages_that_differ_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[int, ...], different: list[int]
):
    monkeypatch.setattr(FakeProcess, "started", 0)
    monkeypatch.setattr(FakeProcess, "wrong", frozenset(wrong))
    monkeypatch.setattr(long_run, "SystemProcess", FakeProcess)
    monkeypatch.setattr(long_run, "write_page", lambda path, _, number: path.write_text(str(number)))
    said: list[str] = []
    entry, place = Entry("It", "", ()), Workplace(tmp_path, tmp_path)
    run = measure(entry, [], 30, group=4, sample=3, place=place, say=said.append)
    assert run.rss == {1: 1.0, 25: 25.0, 30: 30.0}
    assert said == ["1 pages: 1 MiB", "25 pages: 25 MiB", "30 pages: 30 MiB"]
    assert (run.wall, run.peak) == (2.0 * (1 + 6 + 2), 500.0)
    assert (run.compared, run.different) == ([10, 20, 30], different)
    assert run.to_json()["identical"] is (not different)
    # Each page of the sample had a process of its own.
    assert FakeProcess.started == 1 + 3


def test_peak_memory_keeps_what_was_freed():
    before = process_use.rss_mib()
    ballast = bytearray(b"x") * (256 * 1024 * 1024)
    # Linux brings its counters up to date every now and then only.
    assert process_use.rss_mib() > before + 240
    del ballast
    assert process_use.rss_mib() < before + 16
    assert process_use.peak_mib() > before + 240


def test_cpu_seconds_have_those_of_threads_and_waited_children():
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    before = process_use.cpu_seconds()
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert process_use.cpu_seconds() - before > 0.45
    before = process_use.cpu_seconds()
    thread = threading.Thread(target=exec, args=(busy.replace("process_time", "thread_time"), {}))
    thread.start()
    thread.join()
    assert process_use.cpu_seconds() - before > 0.45
