"""Traces from an upload to its pages, by OpenTelemetry. Off, and the SDK not even imported, unless an endpoint is set.

A document keeps the span that submitted it (`documents.traceparent`): whoever publishes a ticket for it, and however
often, what the ticket does belongs to that trace. The span that published the message is linked.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from quire.contracts import PageError, PageText
from quire.errors import QuireError
from quire.settings import get_settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

P = ParamSpec("P")
R = TypeVar("R")
Attribute = str | int | float | bool

_HEADER: Final = "traceparent"
_propagator: Final = TraceContextTextMapPropagator()
_OFF: Final = nullcontext(trace.INVALID_SPAN)

_service_name = "quire"


def name_service(name: str) -> None:
    """The `service.name` of this process, where `OTEL_SERVICE_NAME` does not say another one."""
    global _service_name  # noqa: PLW0603  one process is one service
    _service_name = name


@lru_cache(maxsize=1)
def _provider_of_process(_pid: int) -> TracerProvider | None:
    settings = get_settings()
    if settings.otel_exporter_otlp_endpoint is None and settings.otel_exporter_otlp_traces_endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: _service_name}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _provider() -> TracerProvider | None:
    # A forked child needs an exporter of its own.
    return _provider_of_process(os.getpid())


def is_on() -> bool:
    """Whether spans are recorded."""
    return _provider() is not None


def shut_down() -> None:
    """Send what has not been sent yet. For processes that end without Python's exit handlers."""
    provider = _provider()
    if provider is not None:
        provider.shutdown()


def span(
    name: str,
    *,
    parent: str | None = None,
    link: str | None = None,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, Attribute] | None = None,
) -> AbstractContextManager[trace.Span]:
    """A span around a block, within the current one unless it has a `parent`.

    `parent` and `link` are `traceparent` values. An error that leaves the block is recorded by its type and code, never
    with its message.
    """
    provider = _provider()
    if provider is None:
        return _OFF
    return _Recorded(
        provider.get_tracer("quire").start_as_current_span(
            name,
            context=None if parent is None else _extracted(parent),
            kind=kind,
            links=[] if link is None or link == parent else [trace.Link(_span_context(link))],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
    )


class _Recorded(AbstractContextManager[trace.Span]):
    def __init__(self, manager: AbstractContextManager[trace.Span]) -> None:
        self._manager = manager

    def __enter__(self) -> trace.Span:
        self._span = self._manager.__enter__()
        return self._span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            code = error.code if isinstance(error, QuireError) else type(error).__name__
            self._span.set_attribute("error.type", code)
            self._span.set_status(trace.StatusCode.ERROR)
        self._manager.__exit__(kind, error, traceback)  # type: ignore[arg-type]


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: a span around each call."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(name):
                return function(*args, **kwargs)

        return call

    return decorate


def annotate(attributes: Mapping[str, Attribute]) -> None:
    """Add attributes to the current span."""
    trace.get_current_span().set_attributes(attributes)


def within(parent: str | None) -> AbstractContextManager[object]:
    """What is done in the block belongs to the span of this `traceparent`, without a span of its own."""
    if parent is None or _provider() is None:
        return _OFF
    return trace.use_span(trace.NonRecordingSpan(_span_context(parent)))


def traceparent() -> str | None:
    """The current span for others to continue; None outside of one."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_HEADER)


def current_trace_id() -> str | None:
    """The current trace as hex; None outside of one."""
    found = trace.get_current_span().get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else None


def now() -> int:
    """The time as spans count it: nanoseconds."""
    return time.time_ns()


def record_page(outcome: PageText | PageError, begun: int) -> None:
    """A span for a page whose reading has just ended and began at `begun`: what it took by stage, and what came out.

    Pages that were read together share their beginning.
    """
    provider = _provider()
    if provider is None:
        return
    attributes: dict[str, Attribute] = {"quire.page": outcome.page_number}
    if isinstance(outcome, PageText):
        attributes |= {"quire.source": outcome.source, "quire.engine": outcome.engine}
        attributes |= {f"quire.{stage}_ms": milliseconds for stage, milliseconds in outcome.timings.items()}
    else:
        attributes |= {"error.type": outcome.code}
    page = provider.get_tracer("quire").start_span("page", start_time=begun, attributes=attributes)
    if isinstance(outcome, PageError):
        page.set_status(trace.StatusCode.ERROR)
    page.end()


def _extracted(parent: str) -> context.Context:
    return _propagator.extract({_HEADER: parent}, context.Context())


def _span_context(parent: str) -> trace.SpanContext:
    return trace.get_current_span(_extracted(parent)).get_span_context()
