"""A short run of `make chaos`: every kind of fault once, and nothing lost, doubled or wrong."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.chaos.run import Options, run
from tests.chaos.schedule import KINDS

OPTIONS = Options(
    pages=400,
    seed=7,
    workers=2,
    every=1.5,
    rounds=1,
    lease_seconds=3,
    fault_seconds=60,
    patience=60,
    page_milliseconds=10,
)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Whoever was started with this folder in its arguments or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            # Ended meanwhile, or not one of ours.
            continue
        if any(str(folder) in word for word in words):
            found.append(process)
    return found


def test_every_page_is_read_once_whatever_is_killed_stopped_or_emptied(tmp_path: Path):
    result = run(OPTIONS, tmp_path, print)
    assert not result.findings.broken, result.findings
    assert result.unsubmitted == 0
    assert result.findings.done + sum(result.findings.failures.values()) >= OPTIONS.pages
    assert {struck.kind for struck in result.struck} == set(KINDS)
    assert processes_of(tmp_path) == []
