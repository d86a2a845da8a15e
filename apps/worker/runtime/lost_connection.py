"""A worker outlives the loss of Redis, whatever it holds: delayed messages, or one that it works on.

Kombu 5.7 closes a Redis channel by forgetting the client that knows the address. What touches the channel afterwards
asks for that address and gets an `AttributeError`, which ends the worker: the second closing of a channel that holds
delayed messages, and the acknowledgement of a task that ends after its connection.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport.redis import Channel

_connection_parameters = Channel._connparams


def install() -> None:
    """Make it the error of a lost connection, which Celery and kombu expect in those places."""
    Channel._connparams = _parameters_or_lost


def _parameters_or_lost(channel: Any, *arguments: Any, **options: Any) -> Any:
    if channel.connection is None or channel.connection.client is None:
        raise redis.ConnectionError("The connection of this channel has been closed.")
    return _connection_parameters(channel, *arguments, **options)
