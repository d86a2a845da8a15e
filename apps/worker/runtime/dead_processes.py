"""A process of a worker that has died is replaced within a second, and its page's document goes on.

Celery's pool hears of an end before the kernel lets it ask who has ended, and looks again every five seconds only.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery, bootsteps

_LOOK_SECONDS: Final = 1.0


def install(app: Celery) -> None:
    """Add the start-up step to workers of this app."""
    app.steps["worker"].add(DeadProcesses)


class DeadProcesses(bootsteps.StartStopStep):  # type: ignore[misc]
    """Looks for them in the worker's event loop. Without one (`-P solo`) there are no processes."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin."""
        if worker.hub is not None:
            worker.timer.call_repeatedly(_LOOK_SECONDS, worker.pool.maintain_pool)
