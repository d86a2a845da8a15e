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
from tests.chaos.receiver import Messages, Receiver
from tests.chaos.recovery import Timeline
from tests.chaos.schedule import KINDS, schedule
from tests.chaos.storage import storage
from tests.chaos.submitter import Refusal, Submitter

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_TICK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 0.5
_TRY_LATER: Final = 503


@dataclass(frozen=True)
class Options:
    """What a run is like.

    Each kind of fault happens `rounds` times at least, one in `every` seconds on average, and documents arrive for as
    long. Faults go on until everything is read (`go_on`), or for `fault_seconds`; from then on a time of `patience`
    seconds without a finished page means that the rest is stuck. `page_milliseconds` is what a page costs the fake
    engine, which dies of `deadly` pages. Outages of Postgres and storage last `outage_seconds`, the first one of
    Postgres `long_outage_seconds`. After that webhooks have `message_patience` seconds to arrive.
    """

    pages: int = 2000
    seed: int = 1
    kinds: Sequence[str] = KINDS
    engine: Engine = "fake"
    workers: int = 3
    every: float = 3.0
    rounds: int = 2
    page_milliseconds: float = 50.0
    deadly: int = 3
    outage_seconds: float = 6.0
    long_outage_seconds: float = 60.0
    lease_seconds: int = 5
    go_on: bool = True
    fault_seconds: float = 600.0
    patience: float = 120.0
    message_patience: float = 200.0


@dataclass(frozen=True)
class Result:
    """What came of a run. `recoveries` are the waits after each of `struck`, see `Timeline`.

    `refusals` are the uploads that had to be tried again, `unsubmitted` counts the documents that were never accepted.
    `messages` are the webhooks, `storage_faults` counts requests to the object storage that met a fault, by its kind.
    """

    options: Options
    seconds: float
    struck: list[Struck]
    recoveries: list[float | None]
    longest_wait: float
    notes: list[str]
    refusals: list[Refusal]
    unsubmitted: int
    storage_faults: dict[str, int]
    messages: Messages
    findings: Findings

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not (self.findings.broken or self.unsubmitted or self.misanswered or self.unheard)

    @property
    def unheard(self) -> int:
        """Messages that the endpoint did not get, although it takes all."""
        waited_for = self.messages.pending if self.options.message_patience else 0
        return self.messages.missing + self.messages.failed + waited_for

    @property
    def misanswered(self) -> int:
        """Uploads that were refused otherwise than with "try again later"."""
        return sum(refusal.status not in (None, _TRY_LATER) for refusal in self.refusals)


def run(options: Options, home: Path, say: Callable[[str], None]) -> Result:
    """Do a run with its files below `home`; `say` is told each fault. Nothing is left running, however it ends."""
    say(f"Making documents of {options.pages:,} pages …")
    (home / "books").mkdir(parents=True)
    books = make_books(home / "books", options.pages, options.engine, options.seed, options.deadly)
    say("Starting Redis, Postgres, object storage, the API and the workers …")
    with (
        Receiver() as receiver,
        storage() as (proxy, variables),
        _stack(options, home / "stack", variables) as stack,
    ):
        receiver.register(stack.api_url)
        started = time.monotonic()
        with Submitter(stack.api_url, books, options.rounds * len(options.kinds) * options.every) as submitter:
            injector = Injector(
                stack,
                proxy,
                upload=books[0].path.read_bytes(),
                suspend_seconds=1.5 * options.lease_seconds + 1,
                outage_seconds=options.outage_seconds,
                long_outage_seconds=options.long_outage_seconds,
                on_outage=submitter.hurry,
            )
            _Reading(options, stack.postgres.url, submitter, injector, say).watch()
            injector.calm()
            seconds = round(time.monotonic() - started, 1)
        messages = receiver.wait(stack.postgres.url, options.message_patience)
        timeline = Timeline.load(stack.postgres.url)
        return Result(
            options,
            seconds=seconds,
            struck=injector.struck,
            recoveries=[timeline.wait_after(struck.at) for struck in injector.struck],
            longest_wait=timeline.longest_wait(),
            notes=injector.notes,
            refusals=submitter.refusals,
            unsubmitted=len(books) - len(submitter.accepted),
            storage_faults={str(fault): hits for fault, hits in proxy.hits.items()},
            messages=messages,
            findings=check(stack.postgres.url, submitter.accepted, attempts=stack.settings.quire_page_attempts),
        )


def _stack(options: Options, home: Path, variables: dict[str, str]) -> Stack:
    # A worker that is killed leaves the document it had fetched behind.
    temporary = home / "tmp"
    temporary.mkdir(parents=True)
    env = variables | {
        "TMPDIR": str(temporary),
        # Short, so that a run need not wait for a dead worker's lease as long as an operator would.
        "QUIRE_LEASE_SECONDS": str(options.lease_seconds),
        "QUIRE_RECONCILE_SECONDS": "2",
        "QUIRE_TICKET_SECONDS": "10",
        "QUIRE_OCR_THREADS": "1",
        "QUIRE_OUTBOUND_ALLOW": "127.0.0.1",
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
    _seen: Progress = field(default_factory=lambda: Progress(unfinished=0, pages=0, documents=0))
    _looked: float = -_POLL_SECONDS
    _moved: float = 0.0
    _last_struck: float = 0.0
    _late: float = 0.0

    def watch(self) -> None:
        """Strike when it is time, until everything is read or no page has been finished for too long."""
        faults = schedule(self.options.seed, self.options.kinds, self.options.every)
        fault, least = next(faults), self.options.rounds * len(self.options.kinds)
        while not self._is_over(least):
            self._look()
            is_due = fault.at + self._late <= self._now and not self._is_peace(least)
            if is_due and (struck := self.injector.strike(fault)):
                self._report(struck)
                # Those that follow a fault which had to wait keep their distance from it.
                self._late = max(self._late, self._now - fault.at)
                fault = next(faults)
            self.injector.tend()
            time.sleep(_TICK_SECONDS)

    @property
    def _now(self) -> float:
        return time.monotonic() - self._started

    def _is_over(self, least: int) -> bool:
        is_peace = self._is_peace(least)
        if is_peace and self._now > max(self._moved, self._last_struck) + self.options.patience:
            return True
        is_read = self.submitter.is_done and self._seen.unfinished == 0
        # What was seen may be older than the last document.
        is_read = is_read and self._seen.documents >= len(self.submitter.accepted)
        return is_read and (is_peace or len(self.injector.struck) >= least)

    def _is_peace(self, least: int) -> bool:
        """Whether there are no more faults."""
        is_enough = not self.options.go_on and len(self.injector.struck) >= least
        return is_enough or self._now >= self.options.fault_seconds

    def _look(self) -> None:
        if self._now < self._looked + _POLL_SECONDS:
            return
        self._looked = self._now
        seen = progress(self.url) if self.injector.postgres_is_up else None
        if seen is not None:
            if seen.pages != self._seen.pages:
                self._moved = self._now
            self._seen = seen

    def _report(self, struck: Struck) -> None:
        self._last_struck = self._now
        pages = f"{self._seen.pages:,} of {self.options.pages:,} pages"
        self.say(f"{self._now:7.1f} s  {struck.kind:<18}  {struck.victim:<24}  {pages}")
