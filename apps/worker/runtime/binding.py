"""Binds a function to the declaration of its task, so that callers and worker cannot disagree."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import celery.app.trace
from celery import Celery, Task
from celery.worker.request import Request
from pydantic import BaseModel

from quire.errors import QuireError
from quire.signing import require_signature
from quire.tasks import TaskDeclaration
from quire.telemetry.messages import traceparent_of
from runtime import pool

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

# Celery's own line ends with the result, which may be a document's text.
celery.app.trace.LOG_SUCCESS = "Task %(name)s[%(id)s] succeeded in %(runtime)ss"

_FIRST_RETRY_SECONDS = 2.0
_LAST_RETRY_SECONDS = 60.0
_LOST_PROCESS_SECONDS = 2


@dataclass(frozen=True)
class TaskContext:
    """What a task function may know about its call, whoever made it.

    `task_id` is the same when the call is delivered again. `draining()` turns True when the process should stop soon.
    `traceparent` is the span that made the call. `interrupted()` turns True when the work must stop even where all of
    it is lost. With `takes_turns` False nobody else waits for this process, which then works until there is no more.
    """

    task_id: str
    draining: Callable[[], bool] = lambda: False
    traceparent: str | None = None
    interrupted: Callable[[], bool] = lambda: False
    takes_turns: bool = True


TaskFunction = Callable[[P, TaskContext], R]


class QuietRequest(Request):  # type: ignore[misc]
    """A request that does not tell its arguments to `celery inspect`, and so not to Flower."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Celery's description, with the arguments as the message's headers show them: not at all."""
        described: dict[str, Any] = super().info(safe=True)
        return described


class DeclaredTask(Task):  # type: ignore[misc]
    """A Celery task whose arguments are checked when it is sent and when it arrives.

    `function` is the plain task function: the serverless handler and the tests call that one.
    """

    Request = QuietRequest
    declaration: TaskDeclaration[Any, Any]
    function: Callable[[Any, TaskContext], Any]

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Celery's `apply_async`, with the arguments checked and kept out of headers, logs and events."""
        payload = self.declaration.parse(tuple(args or ()), kwargs or {})
        options |= {"argsrepr": "-", "kwargsrepr": "-"}
        return super().apply_async((), payload.model_dump(mode="json", exclude_unset=True), **options)


def bind(app: Celery, declaration: TaskDeclaration[P, R]) -> Callable[[TaskFunction[P, R]], DeclaredTask]:
    """Register a function as the declared task.

    Raises:
        TypeError: the function takes or returns something else than the declaration says.
    """

    def decorate(function: TaskFunction[P, R]) -> DeclaredTask:
        _check_signature(function, declaration)

        def run(task: DeclaredTask, *args: Any, **kwargs: Any) -> Any:
            require_signature(task.request, args, kwargs)
            payload = declaration.parse(args, kwargs)
            context = TaskContext(str(task.request.id), pool.is_draining, traceparent_of(task.request))
            try:
                return declaration.dump_result(function(payload, context))
            except QuireError as error:
                if not error.retryable:
                    raise
                raise task.retry(exc=error, countdown=_retry_delay(task.request.retries)) from error

        run.__doc__ = function.__doc__
        bound: DeclaredTask = app.task(
            run,
            bind=True,
            base=DeclaredTask,
            name=declaration.name,
            declaration=declaration,
            function=staticmethod(function),
            soft_time_limit=declaration.soft_time_limit,
            time_limit=declaration.time_limit,
            max_retries=declaration.max_retries,
            # Celery's, after which it tries a task again whose process was killed; its default is three minutes.
            default_retry_delay=_LOST_PROCESS_SECONDS,
            # Expected errors are an answer, not an incident: no traceback in the log.
            throws=(QuireError,),
        )
        return bound

    return decorate


def _check_signature(function: Callable[..., Any], declaration: TaskDeclaration[Any, Any]) -> None:
    hints = get_type_hints(function)
    returned = hints.pop("return", None)
    if list(hints.values()) != [declaration.payload, TaskContext] or returned != declaration.result:
        raise TypeError(
            f"{declaration.name} is declared to take {declaration.payload.__name__} and a TaskContext and to return "
            f"{declaration.result}; {function.__qualname__} has {hints} and returns {returned}."
        )


def _retry_delay(retries: int) -> float:
    """Seconds until the next try: doubling, with full jitter so that workers do not come back all at once."""
    ceiling = min(_FIRST_RETRY_SECONDS * 2**retries, _LAST_RETRY_SECONDS)
    return random.uniform(_FIRST_RETRY_SECONDS / 2, ceiling)
