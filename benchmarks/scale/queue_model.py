"""A queue with many servers, simulated: documents of several pages arrive at a rate that changes over the day.

What Quire does with a document decides the model: its pages are leased `lease_pages` at a time, at most `parallelism`
workers read it, and documents take turns (`QUIRE_TURN_SECONDS`).
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

# The length of something, drawn.
Draw = Callable[[random.Random], float]


@dataclass(frozen=True)
class Load:
    """Documents that arrive in `seconds`, at `rate(t)` a second, never above `peak`; `pages` draws their sizes."""

    seconds: float
    rate: Callable[[float], float]
    peak: float
    pages: Callable[[random.Random], int]

    def arrivals(self, chance: random.Random) -> Iterator[tuple[float, int]]:
        """Times and sizes: a Poisson process, thinned to its rate."""
        moment = 0.0
        while (moment := moment + chance.expovariate(self.peak)) < self.seconds:
            if chance.random() * self.peak < self.rate(moment):
                yield moment, self.pages(chance)


@dataclass(frozen=True)
class Servers:
    """`workers` that take `service(chance)` seconds for a page, and how a document is divided among them."""

    workers: int
    service: Draw
    overhead: float = 0.0
    parallelism: int = 4
    lease_pages: int = 4
    turn_seconds: float = 4.0


@dataclass
class _Document:
    arrived: float
    pages: int
    unleased: int
    unread: int


@dataclass(frozen=True)
class Outcome:
    """Seconds of each document, in order of arrival: until its first page was begun, and until its last was read.

    `busy` is the share of the workers' time that they worked.
    """

    sizes: list[int]
    waits: list[float]
    times: list[float]
    busy: float


@dataclass
class _Run:
    """The state of a simulation."""

    servers: Servers
    chance: random.Random
    idle: int
    # Tickets wait here, as in the broker: first those of documents that came first.
    queue: deque[int] = field(default_factory=deque)
    documents: list[_Document] = field(default_factory=list)
    # Documents that nobody has begun.
    unopened: int = 0
    begun: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    events: list[tuple[float, int, int, float, int]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)
    worked: float = 0.0

    def arrive(self, moment: float, pages: int) -> None:
        self.documents.append(_Document(moment, pages, pages, pages))
        self.unopened += 1
        self.queue.append(len(self.documents) - 1)
        self._assign(moment)

    def _assign(self, moment: float) -> None:
        while self.idle and self.queue:
            number = self.queue.popleft()
            document = self.documents[number]
            if number not in self.begun:
                self.begun[number] = moment
                self.unopened -= 1
                leases = math.ceil(document.unleased / self.servers.lease_pages)
                # Planning issues the others.
                self.queue.extend([number] * (min(self.servers.parallelism, leases) - 1))
            if document.unleased:
                self.idle -= 1
                self._work(moment, number, moment)

    def _work(self, moment: float, number: int, turn_began: float) -> None:
        """Lease the next pages of a document; an event follows when they are read."""
        document = self.documents[number]
        pages = min(self.servers.lease_pages, document.unleased)
        document.unleased -= pages
        seconds = self.servers.overhead + sum(self.servers.service(self.chance) for _ in range(pages))
        self.worked += seconds
        heapq.heappush(self.events, (moment + seconds, next(self.order), number, turn_began, pages))

    def finish(self, moment: float, number: int, turn_began: float, pages: int) -> None:
        document = self.documents[number]
        document.unread -= pages
        if not document.unread:
            self.ended[number] = moment
        gives_way = self.unopened > 0 and moment - turn_began >= self.servers.turn_seconds
        if document.unleased and not gives_way:
            self._work(moment, number, turn_began)
            return
        if document.unleased:
            self.queue.append(number)
        self.idle += 1
        self._assign(moment)


def simulate(load: Load, servers: Servers, seed: int = 1) -> Outcome:
    """Let all documents of a load arrive and be read to the end."""
    chance = random.Random(seed)
    run = _Run(servers, random.Random(seed + 1), servers.workers)
    arrivals, now = load.arrivals(chance), 0.0
    arrival = next(arrivals, None)
    while arrival is not None or run.events:
        if arrival is not None and (not run.events or arrival[0] <= run.events[0][0]):
            now = arrival[0]
            run.arrive(*arrival)
            arrival = next(arrivals, None)
        else:
            now, _, number, turn_began, pages = heapq.heappop(run.events)
            run.finish(now, number, turn_began, pages)
    documents = run.documents
    return Outcome(
        sizes=[document.pages for document in documents],
        waits=[run.begun[number] - document.arrived for number, document in enumerate(documents)],
        times=[run.ended[number] - document.arrived for number, document in enumerate(documents)],
        busy=run.worked / (servers.workers * now) if now else 0.0,
    )


def erlang_c(workers: int, offered: float) -> float:
    """The probability that an arrival waits in M/M/c; `offered` is arrivals a second times seconds of service.

    Raises:
        ValueError: more is offered than the workers can do.
    """
    if offered >= workers:
        raise ValueError("The queue grows without end.")
    # The inverse of Erlang B, by its recursion: no factorials, so thousands of workers are no problem.
    inverse = 1.0
    for servers in range(1, workers + 1):
        inverse = 1.0 + inverse * servers / offered
    blocked = 1.0 / inverse
    return blocked / (1 - offered / workers * (1 - blocked))


def mean_wait_mmc(workers: int, rate: float, service: float) -> float:
    """Mean seconds until service begins in M/M/c."""
    offered = rate * service
    return erlang_c(workers, offered) * service / (workers - offered)


def mean_wait_md1(rate: float, service: float) -> float:
    """Mean seconds until service begins in M/D/1."""
    busy = rate * service
    return busy * service / (2 * (1 - busy))
