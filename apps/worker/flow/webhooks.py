"""Sends one attempt of a webhook, and decides what follows from the answer."""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from sqlalchemy import Engine

from quire.contracts import WebhookResult
from quire.database import webhooks
from quire.database.engine import statements
from quire.database.webhooks import Attempt, Message
from quire.errors import QuireError
from quire.outbound import open_outbound_client
from quire.settings import Settings
from quire.webhook_signature import signed_headers

logger = logging.getLogger(__name__)

# Seconds until the next attempt, as Standard Webhooks suggests; after the last one the message is given up.
SCHEDULE: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER: Final = 0.2
_ANSWER_SECONDS: Final = 10.0
_LONGEST_WAIT: Final = 86_400.0
_GONE: Final = 410


@dataclass(frozen=True)
class _Answer:
    """`status` is None where there was none, and then `error` says why; `wait` is what the endpoint asked for."""

    status: int | None
    error: str | None = None
    wait: float = 0.0


def deliver(settings: Settings, database: Engine, attempt: Attempt) -> WebhookResult:
    """Send a message, unless this attempt was made before.

    Raises:
        DatabaseUnreachable: nothing was sent, or it is not known what came of it: then it is sent again.
    """
    with statements(database) as session:
        message = webhooks.begin(session, attempt)
    if message is None:
        return WebhookResult(outcome="skipped")
    answer = _send(settings, message)
    with statements(database) as session:
        if answer.status is not None and 200 <= answer.status < 300:
            webhooks.end(session, message, "delivered", answer=answer.status)
            return WebhookResult(outcome="delivered")
        logger.info("webhook %s: attempt %d failed: %s", message.delivery_id, message.attempt, answer.error)
        if answer.status == _GONE or message.attempt > len(SCHEDULE):
            webhooks.end(session, message, "failed", answer=answer.status, error=answer.error)
            return WebhookResult(outcome="failed")
        seconds = max(answer.wait, _with_jitter(SCHEDULE[message.attempt - 1]))
        webhooks.end(session, message, "pending", answer=answer.status, error=answer.error, seconds=seconds)
        return WebhookResult(outcome="put_off")


def _send(settings: Settings, message: Message) -> _Answer:
    body = json.dumps(message.body, ensure_ascii=False, separators=(",", ":")).encode()
    # The same for every attempt: a receiver that saw it knows it again.
    headers = signed_headers(message.secret, f"msg_{message.delivery_id}", int(time.time()), body)
    headers |= {"Content-Type": "application/json", "User-Agent": "Quire-Webhooks"}
    try:
        with (
            open_outbound_client(settings, _ANSWER_SECONDS, seconds=_ANSWER_SECONDS) as client,
            # What the endpoint says besides its status is of no use, and may be endless.
            client.stream("POST", message.url, content=body, headers=headers) as answer,
        ):
            return _Answer(answer.status_code, f"HTTP status {answer.status_code}", _retry_after(answer))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _Answer(None, type(error).__name__)
    except QuireError as error:
        return _Answer(None, error.code)


def _retry_after(answer: httpx.Response) -> float:
    """The seconds that an endpoint asks for, a day at most; 0 if it asks for none."""
    value = answer.headers.get("Retry-After", "")
    try:
        seconds = (
            float(value) if value.isdigit() else (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _with_jitter(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
