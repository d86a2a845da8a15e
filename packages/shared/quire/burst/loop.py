"""`quire burst run` and `stop`: ticks of whichever controller `QUIRE_BURST` names, until it is told to end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from quire.burst.controller import PodBurst
from quire.burst.runpod_endpoint import RunpodEndpoint
from quire.burst.runpod_pods import ListedPod, RunpodPods
from quire.burst.serverless import ServerlessBurst
from quire.database import burst, remote_jobs
from quire.database.engine import transaction
from quire.errors import QuireError, RunpodKeyRejected, RunpodRefused, RunpodUnreachable, SettingsError
from quire.settings import Settings

logger = logging.getLogger(__name__)

# So soon the loop notices that it is to end.
_SLICE_SECONDS: Final = 1.0


def run(settings: Settings, database: Engine, ended: threading.Event, clock: Callable[[], float] = time.time) -> None:
    """Tick every `QUIRE_BURST_TICK_SECONDS` until `ended` is set. What is rented then stays.

    Raises:
        SettingsError: a variable is missing, or `QUIRE_BURST` is off.
    """
    with ExitStack() as stack:
        tick, wait = _controller(settings, database, ended, stack)
        logger.info("burst: renting %s", settings.quire_burst)
        while not ended.is_set():
            began = time.monotonic()
            try:
                tick(clock())
            except Exception as error:  # Whoever ends gives nothing back.
                # Not the text of what is not ours: it may have a statement's values.
                said = error.message if isinstance(error, QuireError) else type(error).__name__
                logger.warning("burst: %s Nothing is changed; the next tick tries again.", said)
            wait(began + settings.quire_burst_tick_seconds)
        logger.warning("burst: ended. What is rented stays until its time is over; `quire burst stop` gives it back.")


def _controller(
    settings: Settings, database: Engine, ended: threading.Event, stack: ExitStack
) -> tuple[Callable[[float], object], Callable[[float], None]]:
    """How to tick, and how to wait until a moment of the monotonic clock."""
    if settings.quire_burst == "pods":
        pods = PodBurst(settings, database, stack.enter_context(RunpodPods.from_settings(settings)))
        return pods.tick, lambda until: _sleep(until, ended)
    if settings.quire_burst == "serverless":
        endpoint = stack.enter_context(RunpodEndpoint.from_settings(settings))
        jobs = ServerlessBurst(settings, database, endpoint)
        # What there is is looked after; nothing is sent.
        idle = ServerlessBurst(settings.model_copy(update={"quire_burst_jobs": 0}), database, endpoint)

        def tick(now: float) -> object:
            with transaction(database) as session:
                stopped = burst.state(session).stopped
            return (idle if stopped else jobs).tick(now)

        def wait(until: float) -> None:
            while not ended.is_set() and (left := until - time.monotonic()) > 0:
                try:
                    jobs.wait(min(left, _SLICE_SECONDS))
                except (QuireError, SQLAlchemyError):
                    _sleep(time.monotonic() + min(left, _SLICE_SECONDS), ended)

        return tick, wait
    raise SettingsError("QUIRE_BURST is off: set it to pods or serverless.")


def _sleep(until: float, ended: threading.Event) -> None:
    ended.wait(max(0.0, until - time.monotonic()))


def end_pods(client: RunpodPods, *, seconds: float, pause: Callable[[float], None] = time.sleep) -> list[str]:
    """End every pod of the deployment, without a database, and see them gone. The names of those that are left.

    Raises:
        RunpodKeyRejected, RunpodRefused: RunpodPods.
        RunpodUnreachable: RunPod did not answer for so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_late = time.monotonic() >= deadline
        try:
            left = client.list_pods()
            if not left or is_late:
                return [pod.name for pod in left]
            _end_each(client, left)
        except QuireError as error:
            if is_late or not error.retryable:
                raise
            logger.warning("burst: %s", error.message)
        pause(1.0)


def _end_each(client: RunpodPods, pods: Iterable[ListedPod]) -> None:
    """Ask for the end of each; one that RunPod will not end keeps no other."""
    for pod in pods:
        try:
            client.terminate(pod.id)
        except RunpodKeyRejected:
            raise
        except QuireError as error:
            logger.warning("burst: %s: %s", pod.name, error.message)
        else:
            logger.warning("burst: %s was told to end", pod.name)


def drain_pods(settings: Settings, database: Engine, *, seconds: float) -> list[str]:
    """Have every pod drained and ended, beside a controller that may be at work. The names of those that are left.

    Renting has to be stopped before.

    Raises:
        SettingsError: a variable is missing.
        DatabaseUnreachable: Postgres could not be reached.
    """
    deadline = time.monotonic() + seconds
    with RunpodPods.from_settings(settings) as client:
        pods = PodBurst(settings, database, client, rents=False)
        while True:
            pods.tick(time.time())
            with transaction(database) as session:
                left = [pod.name for pod in burst.pods_there(session)]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(min(5.0, settings.quire_burst_tick_seconds))


def cancel_jobs(settings: Settings, database: Engine) -> list[str]:
    """Cancel every job at the serverless endpoint. The controller, or its next start, writes that down.

    Returns the ids of those that RunPod did not cancel.

    Raises:
        SettingsError: a variable is missing.
        DatabaseUnreachable: Postgres could not be reached.
        RunpodKeyRejected: RunpodEndpoint.
    """
    with transaction(database) as session:
        ids = [job.remote_id for job in remote_jobs.open_jobs(session) if job.remote_id is not None]
    left = []
    with RunpodEndpoint.from_settings(settings) as endpoint:
        for remote_id in ids:
            try:
                endpoint.cancel(remote_id)
            except (RunpodRefused, RunpodUnreachable) as error:
                logger.warning("burst: job %s: %s", remote_id, error.message)
                left.append(remote_id)
    return left
