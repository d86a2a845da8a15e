"""Queues and documents as metrics: asked for when Prometheus does, since Redis and Postgres know and nobody counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import redis
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text

from quire.contracts import PRIORITIES
from quire.database.engine import transaction
from quire.errors import BrokerUnreachable, QuireError
from quire.queues import lists_of_queue
from quire.settings import get_settings
from quire.telemetry.messages import published_at

_KEEP_SECONDS: Final = 3.0
_PRIORITY_NAMES: Final = {number: name for name, number in PRIORITIES.items()}
_STATEMENT_MILLISECONDS: Final = 3000

_DOCUMENTS: Final = text("""
    SELECT status, priority, count(*) AS documents, extract(epoch FROM now() - min(created_at)) AS oldest
    FROM documents WHERE status IN ('queued', 'running') GROUP BY status, priority
""")
_PAGES: Final = text("""
    SELECT count(*) FILTER (WHERE p.status = 'pending') AS pending,
           count(*) FILTER (WHERE p.status = 'leased' AND p.lease_expires_at >= now()) AS leased,
           count(*) FILTER (WHERE p.status = 'leased' AND p.lease_expires_at < now()) AS expired
    FROM pages p JOIN documents d ON d.id = p.document_id
    WHERE p.status IN ('pending', 'leased') AND d.status = 'running'
""")


class StateMetrics(Collector):
    """Asks once for all scrapes of a few seconds.

    For a service that does not answer in time `quire_up` is 0, and what it knows is left out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._metrics: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The metrics, asked for again where the last answer is too old."""
        with self._lock:
            if time.monotonic() - self._asked_at > _KEEP_SECONDS:
                self._metrics = _ask()
                self._asked_at = time.monotonic()
            return list(self._metrics)


def _ask() -> list[Metric]:
    up = GaugeMetricFamily("quire_up", "Whether a service answers the API.", labels=["service"])
    metrics: list[Metric] = [up]
    parts: dict[str, Callable[[], list[Metric]]] = {"redis": _queues, "postgres": _documents}
    for service, part in parts.items():
        try:
            metrics += part()
            up.add_metric([service], 1)
        except QuireError:
            up.add_metric([service], 0)
    return metrics


def _queues() -> list[Metric]:
    settings = get_settings()
    depth = GaugeMetricFamily("quire_queue_messages", "Messages that wait in a queue.", labels=["queue"])
    oldest = GaugeMetricFamily(
        "quire_queue_oldest_seconds", "How long the oldest message of a queue has been waiting.", labels=["queue"]
    )
    try:
        with redis.Redis.from_url(settings.broker_url, socket_timeout=5, socket_connect_timeout=5) as client:
            for queue in dict.fromkeys((settings.default_queue, settings.ocr_queue)):
                lists = lists_of_queue(queue)
                depth.add_metric([queue], sum(int(client.llen(name)) for name in lists))
                oldest.add_metric([queue], max(_age(client, name) for name in lists))
    except redis.RedisError as error:
        raise BrokerUnreachable(f"Redis did not answer ({type(error).__name__}).") from error
    return [depth, oldest]


def _age(client: redis.Redis, name: str) -> float:
    """Seconds that the oldest message of a list has been waiting; 0 where there is none, or it does not say."""
    # Messages go in at the head and are taken from the end.
    message = client.lindex(name, -1)
    published = published_at(message) if isinstance(message, bytes) else None
    return max(0.0, time.time() - published) if published is not None else 0.0


def _documents() -> list[Metric]:
    count = GaugeMetricFamily(
        "quire_documents", "Documents that wait (queued) or are read (running).", labels=["status", "priority"]
    )
    oldest = GaugeMetricFamily(
        "quire_documents_oldest_seconds", "Age of the oldest document of a status.", labels=["status", "priority"]
    )
    pages = GaugeMetricFamily(
        "quire_pages_open",
        "Pages of running documents: pending, leased by a worker, or expired (leased by one that is gone).",
        labels=["state"],
    )
    with transaction() as session:
        session.execute(text(f"SET LOCAL statement_timeout = {_STATEMENT_MILLISECONDS}"))
        found = {(row.status, row.priority): row for row in session.execute(_DOCUMENTS)}
        open_pages = session.execute(_PAGES).one()
    for status in ("queued", "running"):
        for number, name in _PRIORITY_NAMES.items():
            row = found.get((status, number))
            count.add_metric([status, name], row.documents if row else 0)
            oldest.add_metric([status, name], float(row.oldest) if row else 0)
    for state in ("pending", "leased", "expired"):
        pages.add_metric([state], getattr(open_pages, state))
    return [count, oldest, pages]
