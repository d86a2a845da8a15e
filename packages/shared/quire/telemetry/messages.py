"""What every message says besides its task: when it was published, and by which span."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from celery import signals

from quire.telemetry import tracing

PUBLISHED_AT: Final = "quire_published_at"
TRACEPARENT: Final = "traceparent"


def install() -> None:
    """Stamp every message that this process publishes."""
    signals.before_task_publish.connect(_stamp, weak=False, dispatch_uid="quire-messages")


def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None:
        return
    headers[PUBLISHED_AT] = time.time()
    current = tracing.traceparent()
    if current is not None:
        headers[TRACEPARENT] = current


def traceparent_of(request: Any) -> str | None:
    """The span that published the message of a running task (`task.request`), if it says so."""
    found = request.get(TRACEPARENT)
    # Whoever can write to Redis can put anything there.
    return found if isinstance(found, str) else None


def published_at(message: bytes) -> float | None:
    """When a message was published, in seconds since the epoch; None if it does not say. `message` as Redis has it."""
    try:
        return float(json.loads(message)["headers"][PUBLISHED_AT])
    except (ValueError, KeyError, TypeError):
        return None
