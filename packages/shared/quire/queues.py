"""The Celery app: one configuration for everyone who publishes or consumes, each setting with what breaks without it.

Measured with Celery and kombu 5.7 on Redis; the settings marked (5.7) do not exist in earlier releases.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from kombu.transport import redis as redis_transport

from quire import signing
from quire.contracts import PRIORITIES
from quire.settings import Settings, get_settings
from quire.telemetry import messages

OCR_TASKS = ("tasks.ocr_document", "tasks.ocr_page", "tasks.ocr_pdf_document")

# Every task must end within this, so that Redis does not hand it to a second worker while the first still runs it.
VISIBILITY_TIMEOUT_SECONDS = 1800
# Retention is counted in days.
PURGE_SECONDS = 3600.0


def create_celery(settings: Settings, *, keep_results: bool = True) -> Celery:
    """A Celery app for these settings. Connects to nothing until it is used; without results not to their backend."""
    app = Celery(
        "quire", broker=settings.broker_url, backend=settings.result_backend_url if keep_results else "disabled"
    )
    messages.install()
    signing.install()
    app.conf.update(_serialization() | _delivery() | _broker_connection() | _worker(settings) | _result_backend())
    # What a worker without -Q consumes; others are made when they are used. With every queue listed here a small
    # machine would begin to read pages.
    consumed = settings.consumed_queue
    app.conf.task_queues = [Queue(consumed, Exchange(consumed), routing_key=consumed)]
    app.conf.task_default_queue = settings.default_queue
    app.conf.task_routes = {name: {"queue": settings.ocr_queue} for name in OCR_TASKS}
    app.conf.beat_schedule = {
        "reconcile": {"task": "tasks.reconcile", "schedule": float(settings.quire_reconcile_seconds)},
        "purge_expired": {"task": "tasks.purge_expired", "schedule": PURGE_SECONDS},
    }
    return app


def lists_of_queue(queue: str) -> list[str]:
    """The lists in Redis that a queue's messages wait in, by priority."""
    _, *others = sorted(PRIORITIES.values())
    return [queue, *(f"{queue}{redis_transport.Channel.sep}{priority}" for priority in others)]


@lru_cache(maxsize=1)
def producer() -> Celery:
    """The app this process publishes with."""
    return create_celery(get_settings())


@lru_cache(maxsize=1)
def ticket_producer() -> Celery:
    """The app for messages whose result nobody asks for: each thread of a server would else make a backend for them."""
    app = create_celery(get_settings(), keep_results=False)
    # The backend that keeps nothing has nothing to share, and each thread would look through all packages for it.
    app.conf.result_backend_thread_safe = True
    return app


def _serialization() -> dict[str, Any]:
    return {
        # JSON only: whoever can write to Redis could otherwise run code in the workers (pickle).
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
    }


def _delivery() -> dict[str, Any]:
    return {
        # Acknowledge after the work: a killed worker's message comes back instead of being gone.
        "task_acks_late": True,
        # Never False: a task that fails or runs out of time would be delivered again without end.
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        # A task whose process was killed is tried again, at most `max_retries` times... (5.7)
        "task_retry_on_worker_lost": True,
        # ...and goes back to the queue only where that retry cannot be published. Alone it would loop without bound.
        "task_reject_on_worker_lost": True,
        # One message a process: a second one would wait behind a long document while other workers are idle.
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        # When the broker connection breaks, Redis hands running tasks to others at once. Stop the stale copy here.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        # Publishing to a broker that is down fails in about a second instead of hanging the caller.
        "task_publish_retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1},
        # STARTED is told apart from PENDING for callers without a database.
        "task_track_started": True,
    }


def _broker_connection() -> dict[str, Any]:
    return {
        # A worker that starts before Redis waits for it.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Without it a Redis failover (READONLY) or a full Redis (OOM) makes every worker exit.
        "broker_channel_error_retry": True,
        # The default waits for ever for a free connection. (5.7)
        "broker_pool_acquire_timeout": 10,
        "broker_transport_options": {
            # Longer than the longest task, or Redis runs it twice at the same time.
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # A list in Redis for each; workers take from the first that is not empty.
            "priority_steps": sorted(PRIORITIES.values()),
            # Look for messages of dead workers every 10 s; the default sweep is every 100 s. (5.7)
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # Without these a half-open TCP connection leaves the worker waiting for ever.
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 5,
            # True would repeat LPUSH after a timeout, which publishes twice.
            "retry_on_timeout": False,
        },
    }


def _worker(settings: Settings) -> dict[str, Any]:
    return {
        # CUDA cannot be used in a forked child of a process that has touched it. (5.7)
        "worker_pool_start_method": "spawn" if settings.uses_gpu else "fork",
        # A pool process loads its models before it reports alive; the default of 4 s would kill it while it does.
        "worker_proc_alive_timeout": float(settings.quire_warm_up_seconds),
        # OCR libraries leak: replace a process after so many tasks, and above so much memory (KiB).
        "worker_max_tasks_per_child": 500,
        "worker_max_memory_per_child": 2 * 1024 * 1024,
        # On SIGQUIT let running tasks go on this long before they are handed back.
        "worker_soft_shutdown_timeout": 20.0,
        "worker_enable_soft_shutdown_on_idle": False,
        # Task events halve the throughput, and nothing here reads them.
        "worker_send_task_events": False,
        # Commands to workers (shut down, revoke) come through Redis and cannot be signed.
        "worker_enable_remote_control": settings.quire_signing_key is None,
        # Celery's own log format would be replaced by its root logger otherwise.
        "worker_hijack_root_logger": True,
    }


def _result_backend() -> dict[str, Any]:
    return {
        # Results in Redis serve callers without a database; an hour is enough to fetch one.
        "result_expires": 3600,
        # The default of 120 s blocks a pool process that stores a result on a frozen connection.
        "redis_socket_timeout": 5.0,
        "redis_socket_connect_timeout": 5.0,
        "redis_retry_on_timeout": True,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 5,
    }
