"""One run: start everything, submit, break things while pages are read, wait until all is read, then count."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.chaos.books import Engine, make_books
from tests.chaos.checker import Findings, check
from tests.chaos.fake_engine import PAGE_MILLISECONDS
from tests.chaos.faults import Injector, Struck
from tests.chaos.progress import Progress, progress
from tests.chaos.recovery import Timeline
from tests.chaos.schedule import KINDS, schedule
from tests.chaos.submitter import Submitter

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_TICK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Options:
    """What a run is like.

    Each kind of fault happens `rounds` times at least, one in `every` seconds on average, and documents arrive for as
    long. Faults go on until everything is read, or for `fault_seconds`; from then on a time of `patience` seconds
    without a finished page means that the rest is stuck. `page_milliseconds` is what a page costs the fake engine.
    """

    pages: int = 2000
    seed: int = 1
    kinds: Sequence[str] = KINDS
    engine: Engine = "fake"
    workers: int = 3
    every: float = 3.0
    rounds: int = 2
    page_milliseconds: float = 50.0
    lease_seconds: int = 5
    fault_seconds: float = 600.0
    patience: float = 120.0


@dataclass(frozen=True)
class Result:
    """What came of a run. `recoveries` are the waits after each of `struck`, see `Timeline`.

    `refusals` counts uploads that had to be tried again, `unsubmitted` the documents that were never accepted.
    """

    options: Options
    seconds: float
    struck: list[Struck]
    recoveries: list[float | None]
    longest_wait: float
    notes: list[str]
    refusals: int
    unsubmitted: int
    findings: Findings

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings.broken and not self.unsubmitted


def run(options: Options, home: Path, say: Callable[[str], None]) -> Result:
    """Do a run with its files below `home`; `say` is told each fault. Nothing is left running, however it ends."""
    say(f"Making documents of {options.pages:,} pages …")
    (home / "books").mkdir(parents=True)
    books = make_books(home / "books", options.pages, options.engine, options.seed)
    say("Starting Redis, Postgres, the API and the workers …")
    with _stack(options, home / "stack") as stack:
        started = time.monotonic()
        with Submitter(stack.api_url, books, options.rounds * len(options.kinds) * options.every) as submitter:
            injector = Injector(stack, suspend_seconds=1.5 * options.lease_seconds + 1)
            _Reading(options, stack.postgres.url, submitter, injector, say).watch()
            injector.calm()
        timeline = Timeline.load(stack.postgres.url)
        return Result(
            options,
            seconds=round(time.monotonic() - started, 1),
            struck=injector.struck,
            recoveries=[timeline.wait_after(struck.at) for struck in injector.struck],
            longest_wait=timeline.longest_wait(),
            notes=injector.notes,
            refusals=submitter.refusals,
            unsubmitted=len(books) - len(submitter.accepted),
            findings=check(stack.postgres.url, submitter.accepted, attempts=stack.settings.quire_page_attempts),
        )


def _stack(options: Options, home: Path) -> Stack:
    # A worker that is killed leaves the document it had fetched behind.
    temporary = home / "tmp"
    temporary.mkdir(parents=True)
    env = {
        "TMPDIR": str(temporary),
        # Short, so that a run need not wait for a dead worker's lease as long as an operator would.
        "QUIRE_LEASE_SECONDS": str(options.lease_seconds),
        "QUIRE_RECONCILE_SECONDS": "2",
        "QUIRE_TICKET_SECONDS": "10",
        "QUIRE_OCR_THREADS": "1",
    }
    if options.engine == "lean":
        return Stack(home, free_port(), ocr_workers=options.workers, env=env)
    path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
    env |= {"PYTHONPATH": path, PAGE_MILLISECONDS: str(options.page_milliseconds)}
    app = "tests.chaos.fake_app.celery_app"
    return Stack(home, free_port(), ocr_workers=options.workers, env=env, worker_app=app)


@dataclass
class _Reading:
    """The time from the first document to the last page."""

    options: Options
    url: str
    submitter: Submitter
    injector: Injector
    say: Callable[[str], None]
    _started: float = field(default_factory=time.monotonic)
    _seen: Progress = field(default_factory=lambda: Progress(unfinished=0, pages=0))
    _looked: float = -_POLL_SECONDS
    _moved: float = 0.0

    def watch(self) -> None:
        """Strike when it is time, until everything is read or no page has been finished for too long."""
        faults = schedule(self.options.seed, self.options.kinds, self.options.every)
        fault, least = next(faults), self.options.rounds * len(self.options.kinds)
        while not self._is_over(least):
            self._look()
            if fault.at <= self._now < self.options.fault_seconds and (struck := self.injector.strike(fault)):
                self._report(struck)
                fault = next(faults)
            self.injector.tend()
            time.sleep(_TICK_SECONDS)

    @property
    def _now(self) -> float:
        return time.monotonic() - self._started

    def _is_over(self, least: int) -> bool:
        is_peace = self._now >= self.options.fault_seconds
        if is_peace and self._now > max(self._moved, self.options.fault_seconds) + self.options.patience:
            return True
        is_read = self.submitter.is_done and self._seen.unfinished == 0 and self._seen.pages >= self.options.pages
        return is_read and (is_peace or len(self.injector.struck) >= least)

    def _look(self) -> None:
        if self._now < self._looked + _POLL_SECONDS:
            return
        self._looked = self._now
        seen = progress(self.url)
        if seen is not None:
            if seen.pages != self._seen.pages:
                self._moved = self._now
            self._seen = seen

    def _report(self, struck: Struck) -> None:
        pages = f"{self._seen.pages:,} of {self.options.pages:,} pages"
        self.say(f"{self._now:7.1f} s  {struck.kind:<18}  {struck.victim:<24}  {pages}")
