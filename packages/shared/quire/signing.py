"""Task messages that carry a signature, for a broker that others can write to (`QUIRE_SIGNING_KEY`).

The HMAC covers what is run: the task's name, its id and its arguments. Whoever can write to Redis without the key can
delay messages, drop them, or deliver an old one again, which the page flow copes with; but cannot have a worker do
anything that nobody asked for. Callbacks would be published, and so signed, by the worker itself: a worker that checks
signatures takes no message that has any.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from celery.signals import before_task_publish

from quire.errors import UnsignedMessage
from quire.settings import get_settings

HEADER: Final = "quire_signature"
# Celery's fields for what a worker publishes in the name of a message.
_CALLBACKS: Final = ("callbacks", "errbacks", "chain", "chord")


def install() -> None:
    """Sign every message that this process publishes, where there is a key."""
    before_task_publish.connect(_sign_message, weak=False, dispatch_uid="quire-signing")


def require_signature(request: Any, args: object, kwargs: object) -> None:
    """Return if the message of a running task (`task.request`) is signed, or signatures are not used.

    Raises:
        UnsignedMessage: there is a key, and the message was not made with it.
    """
    key = _key()
    if key is None:
        return
    if any(getattr(request, name, None) for name in _CALLBACKS):
        raise UnsignedMessage("The message has callbacks, which are not taken where messages are signed.")
    headers: Mapping[str, Any] = request.headers or {}
    expected = _signature(key, request.task, request.id, args, kwargs)
    if not hmac.compare_digest(str(headers.get(HEADER, "")), expected):
        raise UnsignedMessage(
            "The message has no valid signature. Whoever queues tasks needs the QUIRE_SIGNING_KEY of the workers."
        )


def _sign_message(sender: str, body: Any, headers: dict[str, Any], **_: Any) -> None:
    key = _key()
    if key is not None:
        args, kwargs, _embedded = body
        headers[HEADER] = _signature(key, sender, headers["id"], args, kwargs)


def _key() -> bytes | None:
    secret = get_settings().quire_signing_key
    return None if secret is None else secret.get_secret_value().encode()


def _signature(key: bytes, task: str, task_id: str, args: object, kwargs: object) -> str:
    message = json.dumps([task, task_id, args, kwargs], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
