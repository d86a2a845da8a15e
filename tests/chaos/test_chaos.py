"""A short run of `make chaos`: most kinds of fault once, and nothing lost, doubled or wrong."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.chaos.run import Options, run

# One of each sort: all of them would take minutes.
KINDS = ("kill", "kill-child", "drain", "redis-restart", "postgres-away", "s3-reset", "kill-default", "kill-api-upload")
OPTIONS = Options(
    pages=300,
    seed=389,
    kinds=KINDS,
    workers=2,
    every=1.0,
    rounds=1,
    go_on=False,
    lease_seconds=2,
    fault_seconds=60,
    patience=60,
    page_milliseconds=10,
    deadly=1,
    outage_seconds=3,
    long_outage_seconds=3,
    # A message whose sender was killed is sent again after a minute and a half: that is for `make chaos`.
    message_patience=0,
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
    assert (result.unsubmitted, result.misanswered, result.unheard) == (0, 0, 0)
    assert result.findings.done + sum(result.findings.failures.values()) >= OPTIONS.pages
    assert {struck.kind for struck in result.struck} == set(KINDS)
    # The page that ends its workers was given up, the others of its document were read.
    assert result.findings.deadly == 1
    assert result.storage_faults["reset"] > 0
    (away,) = (struck.at for struck in result.struck if struck.kind == "postgres-away")
    during = [refusal.status for refusal in result.refusals if away < refusal.at < away + OPTIONS.outage_seconds]
    assert 503 in during
    assert processes_of(tmp_path) == []
