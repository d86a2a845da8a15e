"""Takes a study aid through: claimed under a lease, every answer written as it comes, given back when its turn is over.

A worker that is killed has paid in vain for the requests that were not answered yet, and for no others: whoever goes on
asks the same questions, and finds the answers that are there.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine

from flow.heartbeat import Heartbeat
from flow.recording import record
from quire.contracts import (
    FlashcardsPayload,
    FlashcardsRequest,
    PageText,
    QuizPayload,
    QuizRequest,
    StudyAidResult,
    StudyRequest,
    SummaryPayload,
    SummaryRequest,
)
from quire.database import artifacts, documents, page_listing
from quire.database.artifacts import Claim, TokensUsed, Used
from quire.database.engine import transaction
from quire.errors import DocumentNotFound, LlmBudgetExceeded, LlmUnavailable, LlmUnreachable, QuireError
from quire.settings import Settings
from quire.study_aids import Flashcards, Quiz, Summary
from quire.telemetry import meters, tracing
from study import prompts
from study.client import LlmClient, Tokens
from study.make import make
from study.making import GiveWay, Maker

logger = logging.getLogger(__name__)

StudyPayload = SummaryPayload | FlashcardsPayload | QuizPayload

# Until an endpoint is asked again that did not answer.
_FIRST_PAUSE_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 3600.0
_MILLION: Final = 1_000_000
_PAGES_AT_ONCE: Final = 20


class _LeaseLost(Exception):
    """Somebody else goes on with this."""


@dataclass(frozen=True)
class StudyAids:
    """What making study aids needs; `draining` says when to stop early."""

    settings: Settings
    database: Engine
    draining: Callable[[], bool]

    def work(self, payload: StudyPayload) -> StudyAidResult:
        """Make a study aid of a document that has been read, or as much of it as fits into a turn.

        One that is not asked for yet is; one that is made, or being made, is left alone.

        Raises:
            DocumentNotFound: there is no such document.
            DatabaseUnreachable: try again later; the lease runs out.
        """
        artifact_id = self._request(payload.document_id, request_of(payload))
        seconds = self.settings.quire_lease_seconds
        with transaction(self.database) as session:
            taken = artifacts.claim(session, artifact_id, seconds=seconds, attempts=self.settings.quire_page_attempts)
        if taken is not None:
            renew = partial(artifacts.renew, taken=taken, seconds=seconds)
            with (
                tracing.span("study_aid", attributes={"quire.document_id": str(payload.document_id)}),
                Heartbeat(self.database, renew, seconds) as heartbeat,
            ):
                self._make(taken, request_of(payload), heartbeat)
        with transaction(self.database) as session:
            artifact = artifacts.get(session, payload.document_id, artifact_id)
            if artifact is None:
                raise DocumentNotFound(f"There is no document {payload.document_id}: it was deleted.")
            return StudyAidResult.model_validate({"artifact_id": artifact_id, "status": artifact.status})

    def _request(self, document_id: UUID, request: StudyRequest) -> UUID:
        with transaction(self.database) as session:
            artifact_id = artifacts.request(session, document_id, request)
        if artifact_id is None:
            raise DocumentNotFound(f"There is no document {document_id}.")
        return artifact_id

    def _make(self, taken: Claim, request: StudyRequest, heartbeat: Heartbeat) -> None:
        begun_at = time.monotonic()
        try:
            client = LlmClient(self.settings, note=partial(self._count, taken))
        except LlmUnavailable as error:
            self._fail(taken, error)
            return
        steps = _Steps(self, taken, heartbeat, begun_at)
        try:
            made = make(Maker(self.settings, client, _Pages(self.database, taken.document_id), steps), request.options)
        except _LeaseLost:
            logger.info("study aid %s: somebody else goes on with it", taken.artifact_id)
        except GiveWay:
            self._put_off(taken)
        except LlmUnreachable as error:
            self._try_later(taken, error)
        except QuireError as error:
            if error.retryable:
                raise
            self._fail(taken, error)
        except SoftTimeLimitExceeded:
            self._put_off(taken, begun=True)
        except Exception as error:
            # Where and what, but not in its words: they may be the document's.
            places = "".join(traceback.format_tb(error.__traceback__))
            logger.error("study aid %s cannot be made: %s\n%s", taken.artifact_id, type(error).__name__, places)
            self._fail(taken, QuireError("An error in Quire; the worker's log has the details."))
        else:
            self._finish(taken, made, time.monotonic() - begun_at)
        finally:
            client.close()

    def _finish(self, taken: Claim, made: Summary | Flashcards | Quiz, seconds: float) -> None:
        finish = partial(
            artifacts.finish,
            taken=taken,
            result=made.model_dump(mode="json", exclude_none=True),
            model=self.settings.openai_model,
            prompt_version=prompts.VERSION,
            timings={"last_turn": round(seconds, 3)},
        )
        if record(self.database, finish, self.draining):
            meters.record_study_aid(made.kind, "completed", made.dropped)

    def _count(self, taken: Claim, tokens: Tokens) -> None:
        prices = self.settings.quire_llm_input_price, self.settings.quire_llm_output_price
        cost = None
        if prices[0] is not None and prices[1] is not None:
            cost = (tokens.input * prices[0] + tokens.output * prices[1]) / _MILLION
        used = Used(tokens.requests, tokens.input, tokens.output, cost)
        meters.record_llm_tokens(tokens.input, tokens.output)
        # An answer that is paid for must not be lost because Postgres is away for a moment.
        record(self.database, partial(artifacts.count, taken=taken, used=used), self.draining)

    def _fail(self, taken: Claim, error: QuireError) -> None:
        logger.info("study aid %s failed: %s", taken.artifact_id, error.code)
        with transaction(self.database) as session:
            failed = artifacts.fail(session, taken, error, unavailable=isinstance(error, LlmUnavailable))
        if failed:
            meters.record_study_aid(taken.kind, error.code)

    def _put_off(self, taken: Claim, *, begun: bool = False) -> None:
        with transaction(self.database) as session:
            artifacts.put_off(session, taken, begun=begun)

    def _try_later(self, taken: Claim, error: LlmUnreachable) -> None:
        """Give it back for later, unless it was given back as often as it may be without getting on."""
        with transaction(self.database) as session:
            artifact = artifacts.get(session, taken.document_id, taken.artifact_id)
            attempts = artifact.attempts if artifact is not None else 0
            if attempts >= self.settings.quire_page_attempts:
                if artifacts.fail(session, taken, error):
                    meters.record_study_aid(taken.kind, error.code)
                return
            pause = max(error.wait, _FIRST_PAUSE_SECONDS * 2**attempts)
            artifacts.put_off(session, taken, seconds=min(pause, _LONGEST_PAUSE_SECONDS))


@dataclass
class _Steps:
    """The answers of one study aid, in Postgres. Its turn ends after it has paid for one at least."""

    aids: StudyAids
    taken: Claim
    heartbeat: Heartbeat
    begun_at: float
    paid: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def kept(self, step: str) -> str | None:
        self._require_lease()
        with transaction(self.aids.database) as session:
            return artifacts.kept(session, self.taken, step)

    def keep(self, step: str, answer: str) -> None:
        keep = partial(artifacts.keep, taken=self.taken, step=step, answer=answer)
        if not record(self.aids.database, keep, self.aids.draining):
            raise _LeaseLost
        with self._lock:
            self.paid += 1

    def remember(self, step: str, found: str) -> None:
        remember = partial(artifacts.remember, taken=self.taken, step=step, found=found)
        if not record(self.aids.database, remember, self.aids.draining):
            raise _LeaseLost

    def begin_request(self) -> None:
        self._require_lease()
        seconds = time.monotonic() - self.begun_at
        if self.aids.draining() or (self.paid and seconds >= self.aids.settings.quire_ticket_seconds):
            raise GiveWay
        with transaction(self.aids.database) as session:
            used = artifacts.tokens_used(session, self.taken)
        _require_tokens(self.aids.settings, used)

    def plan(self, windows: int) -> None:
        with transaction(self.aids.database) as session:
            artifacts.note_windows(session, self.taken, windows)

    def _require_lease(self) -> None:
        if self.heartbeat.lost:
            raise _LeaseLost


def _require_tokens(settings: Settings, used: TokensUsed) -> None:
    """Return if another request may be paid for.

    Raises:
        LlmBudgetExceeded: tokens are used up; the message says whose, and what to do.
    """
    most = settings.quire_llm_document_tokens
    if most is not None and used.of_document >= most:
        raise LlmBudgetExceeded(
            f"The study aids of this document have used {used.of_document:,} tokens, and may use {most:,}. Raise "
            "QUIRE_LLM_DOCUMENT_TOKENS, and make this again."
        )
    for most, remedy in (
        (settings.quire_llm_owner_tokens, "raise QUIRE_LLM_OWNER_TOKENS"),
        (used.allowed, "ask for a larger quota (quire keys create --tokens-per-day)"),
    ):
        if most is not None and used.today >= most:
            raise LlmBudgetExceeded(
                f"Study aids have used {used.today:,} tokens today, and may use {most:,}. Make this again after "
                f"midnight (UTC), or {remedy}."
            )


@dataclass(frozen=True)
class _Pages:
    """A document's pages, from Postgres."""

    database: Engine
    document_id: UUID

    def texts(self) -> Iterator[tuple[int, str]]:
        after = 0
        while True:
            with transaction(self.database) as session:
                some = page_listing.read_texts(session, self.document_id, after=after)
            if not some:
                return
            yield from ((number, text or "") for number, text in some)
            after = some[-1][0]

    def read(self, numbers: Sequence[int]) -> list[PageText]:
        wanted = sorted(set(numbers))
        pages: list[PageText] = []
        while wanted:
            most = min(_PAGES_AT_ONCE, wanted[-1] - wanted[0] + 1)
            with transaction(self.database) as session:
                found = documents.read_pages(session, self.document_id, after=wanted[0] - 1, most=most)
            if not found:
                break
            pages += [page for page in found if page.page_number in wanted]
            wanted = [number for number in wanted if number > found[-1].page_number]
        return pages


def request_of(payload: StudyPayload) -> StudyRequest:
    """What a task's payload asks for."""
    options = payload.model_dump(exclude={"document_id"})
    if isinstance(payload, SummaryPayload):
        return SummaryRequest.model_validate({"options": options})
    if isinstance(payload, FlashcardsPayload):
        return FlashcardsRequest.model_validate({"options": options})
    return QuizRequest.model_validate({"options": options})
