"""A worker that takes no more tasks and stays alive: its supervisor would start another one if it ended.

Its processes finish the page they are on and give the others back, as after SIGTERM. It does not go back to work;
started again, it does.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from celery.worker import state as worker_state

from runtime.pool import tell_processes_to_drain

logger = logging.getLogger(__name__)


def take_no_more(worker: Any) -> None:
    """Stop taking tasks, in the worker's event loop and soon. Ask again until `takes_tasks` says that it is done."""
    consumer = getattr(worker, "consumer", None)
    if consumer is not None:
        # Not by remote control, which workers that ask for signatures do not hear.
        consumer.call_soon(_cancel, consumer)


def takes_tasks(worker: Any) -> bool:
    """Whether the worker takes what lies in its queues, or will when it has a connection."""
    return bool(worker.app.amqp.queues.consume_from)


def holds_tasks() -> bool:
    """Whether the worker of this process works on something, or has taken something to work on."""
    return bool(worker_state.reserved_requests)


def _cancel(consumer: Any) -> None:
    queues, tasks = consumer.app.amqp.queues, consumer.task_consumer
    if not queues.consume_from and not (tasks and tasks.queues):
        return
    # Those of the next connection, then those of this one.
    queues.deselect(list(queues.consume_from))
    with suppress(*consumer.connection_errors):
        for queue in list(tasks.queues) if tasks else ():
            tasks.cancel_by_queue(queue)
    # Now, not before: what is given back must not come back to this worker.
    tell_processes_to_drain()
    logger.warning("the worker takes no more tasks: it was asked to drain")


def tasks_taken() -> int:
    """How many tasks this worker has taken since it began."""
    return sum(worker_state.total_count.values())
