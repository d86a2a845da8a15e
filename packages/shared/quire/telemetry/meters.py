"""What a worker counts. Its processes write to files of one folder, and its parent adds them up for each scrape.

That is prometheus-client's multiprocess mode: it survives the processes, which come and go, and costs a write to
memory. Without `QUIRE_METRICS_PORT` nothing is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from quire.contracts import PageError, PageSourceKind, PageText, StudyKind
from quire.errors import SettingsError
from quire.settings import get_settings, set_default_environment
from quire.study_aids import DROP_REASONS, Dropped

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

# Of a request to the language model, besides the codes of errors: it is tried again after all but the first.
LLM_OUTCOMES: Final = ("answered", "unusable", "unsupported", "unreachable")

_STAGES: Final = ("text_layer", "render", "ocr")
_DIRECTIONS: Final = ("input", "output")
# From a page's own text layer to a page of a newspaper on a slow machine.
_STAGE_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCH_PAGES: Final = (1, 2, 3, 4, 6, 8, 16, 32)
# From a small model on the same machine to a long answer of a large one; no request may take longer.
_LLM_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)


@dataclass(frozen=True)
class _Meters:
    pages: Counter
    stages: Histogram
    batches: Histogram
    attempts_lost: Counter
    leases_lost: Counter
    llm_requests: Histogram
    llm_tokens: Counter
    study_aids: Counter
    study_items_dropped: Counter


@lru_cache(maxsize=1)
def _meters() -> _Meters | None:
    """The meters of this process; None where nobody asked for them. Not before `prepare`."""
    if get_settings().quire_metrics_port is None:
        return None
    return _define(None)


def _define(registry: CollectorRegistry | None) -> _Meters:
    # Its first import decides whether values live in files.
    from prometheus_client import Counter, Histogram

    return _Meters(
        pages=Counter(
            "quire_pages",
            "Pages written: by what they were read from (none where they failed), and done or the code of the error.",
            ["source", "outcome"],
            registry=registry,
        ),
        stages=Histogram(
            "quire_page_stage_seconds",
            f"What a page took, by stage: {', '.join(_STAGES)}.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        ),
        batches=Histogram(
            "quire_batch_pages",
            "Pages that were read together.",
            buckets=_BATCH_PAGES,
            registry=registry,
        ),
        attempts_lost=Counter(
            "quire_page_attempts_lost",
            "Pages leased again after an attempt that came to nothing: its lease ran out, or its process ended.",
            registry=registry,
        ),
        leases_lost=Counter(
            "quire_leases_lost",
            "Leases that ran out under a worker that was still at work; it wrote nothing.",
            registry=registry,
        ),
        llm_requests=Histogram(
            "quire_llm_request_seconds",
            f"What a request to the language model took, by what came of it: {', '.join(LLM_OUTCOMES)}, or a code.",
            ["outcome"],
            buckets=_LLM_SECONDS,
            registry=registry,
        ),
        llm_tokens=Counter(
            "quire_llm_tokens",
            "Tokens that the language model's endpoint has counted: of requests (input) and of answers (output).",
            ["direction"],
            registry=registry,
        ),
        study_aids=Counter(
            "quire_study_aids",
            "Study aids that ended: completed, or the code of the error.",
            ["kind", "outcome"],
            registry=registry,
        ),
        study_items_dropped=Counter(
            "quire_study_items_dropped",
            "Items of the language model's answers that are not shown, of study aids that were completed.",
            ["kind", "reason"],
            registry=registry,
        ),
    )


def begin() -> None:
    """Have the meters of this process show zeros, before there is anything to count."""
    meters = _meters()
    if meters is not None:
        for source in get_args(PageSourceKind):
            meters.pages.labels(source, "done")
        for stage in _STAGES:
            meters.stages.labels(stage)
        meters.llm_requests.labels("answered")
        for direction in _DIRECTIONS:
            meters.llm_tokens.labels(direction)
        for kind in get_args(StudyKind):
            meters.study_aids.labels(kind, "completed")
            for reason in DROP_REASONS:
                meters.study_items_dropped.labels(kind, reason)


def record_lease(tried: int) -> None:
    """Pages were leased, so many of which somebody had begun before."""
    meters = _meters()
    if meters is not None and tried:
        meters.attempts_lost.inc(tried)


def record_batch(pages: int) -> None:
    """So many pages were read together."""
    meters = _meters()
    if meters is not None:
        meters.batches.observe(pages)


def record_written(outcomes: Sequence[PageText | PageError]) -> None:
    """These pages were written."""
    meters = _meters()
    if meters is None:
        return
    for outcome in outcomes:
        if isinstance(outcome, PageError):
            meters.pages.labels("none", outcome.code).inc()
            continue
        meters.pages.labels(outcome.source, "done").inc()
        for stage, milliseconds in outcome.timings.items():
            meters.stages.labels(stage).observe(milliseconds / 1000)


def record_lease_lost() -> None:
    """A lease had run out before its pages were written."""
    meters = _meters()
    if meters is not None:
        meters.leases_lost.inc()


def record_llm_request(outcome: str, seconds: float) -> None:
    """The language model's endpoint was asked: one of `LLM_OUTCOMES`, or the code of an error, after so long."""
    meters = _meters()
    if meters is not None:
        meters.llm_requests.labels(outcome).observe(seconds)


def record_llm_tokens(used: int, made: int) -> None:
    """So many tokens were sent to the language model, and so many came back."""
    meters = _meters()
    if meters is not None:
        for direction, tokens in zip(_DIRECTIONS, (used, made), strict=True):
            meters.llm_tokens.labels(direction).inc(tokens)


def record_study_aid(kind: StudyKind, outcome: str, dropped: Dropped | None = None) -> None:
    """A study aid ended: `completed`, with what was dropped on the way, or with the code of an error."""
    meters = _meters()
    if meters is None:
        return
    meters.study_aids.labels(kind, outcome).inc()
    for reason in DROP_REASONS if dropped is not None else ():
        meters.study_items_dropped.labels(kind, reason).inc(getattr(dropped, reason))


def prepare(folder: Path) -> None:
    """Have the meters of this process and of its children live in `folder`. Before any of them is used."""
    set_default_environment(PROMETHEUS_MULTIPROC_DIR=str(folder))


def serve(folder: Path, port: int) -> Callable[[], None]:
    """Serve what is in `folder` at `/metrics` on every interface; what stops that.

    Raises:
        SettingsError: the port is taken.
    """
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise SettingsError(
            f"QUIRE_METRICS_PORT={port} cannot be used ({error.strerror}): each worker of a machine needs its own."
        ) from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        if thread is not threading.current_thread():
            thread.join(timeout=5)

    return stop
