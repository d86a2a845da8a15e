"""A worker that holds a delayed message outlives the loss of Redis.

Kombu 5.7 closes a Redis channel twice after a failed read. The first time forgets the client, the second gives
unacknowledged messages back and needs it for the name of the host: an `AttributeError`, which ends the worker.
"""

from __future__ import annotations

from typing import Any

from kombu.connection import Connection

_close_channel = Connection.maybe_close_channel


def install() -> None:
    """Let `Connection.maybe_close_channel` ignore that one error, as it does all others of a lost connection."""
    Connection.maybe_close_channel = _maybe_close_channel


def _maybe_close_channel(connection: Any, channel: Any) -> None:
    try:
        _close_channel(connection, channel)
    except AttributeError:
        transport = connection._transport
        if transport is not None and transport.client is not None:
            raise
