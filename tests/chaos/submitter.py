"""Sends the documents in, some at once and the others while faults happen, each until it is accepted."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import httpx

from tests.chaos.books import Book

_PAUSE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Refusal:
    """A try that failed, by the clock (seconds since 1970): the HTTP status, or None where there was no answer."""

    at: float
    status: int | None


class Submitter:
    """A thread that submits over HTTP: half of the documents at once, the others over `seconds`.

    `accepted` are the texts of each document's pages, by the id that the API gave it; `refusals` are the tries that
    failed. A try that failed may have left a document behind all the same, because only its answer was lost: each try
    has the Idempotency-Key of its document, and must be told of that one.
    """

    def __init__(self, url: str, books: list[Book], seconds: float) -> None:
        self._url = f"{url}/api/v1/documents"
        self._books = books
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._submit_all, name="submitter", daemon=True)
        self._hurry = threading.Event()
        self.accepted: dict[UUID, tuple[str | None, ...]] = {}
        self.refusals: list[Refusal] = []

    @property
    def is_done(self) -> bool:
        """Whether every document was accepted."""
        return len(self.accepted) == len(self._books)

    def _submit_all(self) -> None:
        started, at_once = time.monotonic(), (len(self._books) + 1) // 2
        for number, book in enumerate(self._books):
            share = max(0, number - at_once + 1) / max(1, len(self._books) - at_once)
            self._wait_for_turn(started + share * self._seconds)
            while not self._stop.is_set() and not self._submit(book):
                self._stop.wait(_PAUSE_SECONDS)

    def hurry(self) -> None:
        """Submit the next document now: something is broken that it should meet."""
        self._hurry.set()

    def _wait_for_turn(self, moment: float) -> None:
        while time.monotonic() < moment and not self._stop.is_set() and not self._hurry.is_set():
            time.sleep(_POLL_SECONDS)
        self._hurry.clear()

    def _submit(self, book: Book) -> bool:
        try:
            with book.path.open("rb") as content:
                answer = httpx.post(
                    self._url,
                    files={"file": (book.path.name, content)},
                    headers={"Idempotency-Key": book.path.stem},
                    timeout=30,
                )
        except httpx.TransportError:
            self.refusals.append(Refusal(time.time(), None))
            return False
        if answer.status_code != httpx.codes.ACCEPTED:
            self.refusals.append(Refusal(time.time(), answer.status_code))
            return False
        self.accepted[UUID(answer.json()["id"])] = book.texts
        return True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
