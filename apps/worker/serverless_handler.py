"""The OCR tasks behind RunPod's serverless platform: `python -u serverless_handler.py`, see docs/serverless.md.

    {"input": {"task": "tasks.ocr_document", "payload": {"key": "invoices/7.pdf"}}}
    {"status": "ok", "result": {…}}   or   {"status": "error", "error": "object_not_found: There is no object …"}

The task functions are those of the Celery worker, with the same payloads, storage and database. Only `main` needs the
`runpod` package.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import reprlib
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

if __name__ == "__main__":
    # The first process of a container does not hear signals that it has no handler for. There is no job to be lost yet;
    # RunPod's loop has a handler of its own.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import workspace  # noqa: F401  isort: skip
from quire.loading import loaded  # isort: skip  the collector rests from here on
import tasks  # noqa: F401  registers every task
from celery_app import celery_app
from ocr.engines.warm_up_page import warm_up_page
from ocr.languages import merge_languages
from quire.errors import EngineUnavailable, InvalidPayload, OutOfMemory, QuireError
from quire.queues import OCR_TASKS
from quire.scratch import remove_abandoned
from quire.settings import get_settings
from quire.storage import get_store
from quire.telemetry import logs, tracing
from quire.telemetry.context import bound
from quire.telemetry.redaction import Redaction
from runtime import pool
from runtime.binding import DeclaredTask, TaskContext
from runtime.memory_limit import limit_memory
from runtime.one_thread import OneThread
from runtime.platform_result import carried, without_surrogates

loaded()

logger = logging.getLogger("serverless_handler")

Answer = dict[str, Any]

_TASKS: Final[Mapping[str, DeclaredTask]] = {name: celery_app.tasks[name] for name in OCR_TASKS}
_FIELDS: Final = ("task", "payload")
_EXAMPLE: Final = 'Send {"input": {"task": "tasks.ocr_document", "payload": {"key": "…"}}}.'
_LONGEST_ERROR: Final = 1000
_LONGEST_NAME: Final = 60
# What RunPod's package calls every job that is tried out: two of them are not one that is delivered again.
_TRIED_OUT: Final = "local_test"
# Job ids become part of keys in object storage.
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


def handler(job: Mapping[str, Any]) -> Answer:
    """Do one job, in this thread; an error of any kind is an answer, never raised.

    Returns:
        `{"status": "ok", "result": …}`, with what the Celery task returns; or `{"status": "error", "error": …}`, with a
        code of the README's table, a colon, and a sentence.
    """
    return answer(job, lambda: False)


def answer(job: Mapping[str, Any], should_stop: Callable[[], bool]) -> Answer:
    """`handler`, for a job that may be told to stop: it does so between pages, and gives the others back."""
    job_id = _id_of(job)
    with bound(request=job_id):
        try:
            task, arguments = _call_of(job)
            payload = task.declaration.parse((), arguments)
            context = TaskContext(job_id, draining=should_stop, interrupted=should_stop, takes_turns=False)
            result = task.declaration.dump_result(task.function(payload, context))
            return {"status": "ok", "result": carried(result, job_id, get_settings(), get_store())}
        except QuireError as error:
            return _failure(error)
        except MemoryError:
            return _failure(OutOfMemory("The document needs more memory than there is."))
        # Native libraries call `exit`, and the platform's loop would end without an answer.
        except (Exception, SystemExit) as error:
            logger.exception("the job failed because of an error in Quire")
            return _failure(
                QuireError(f"There is an error in Quire ({type(error).__name__}); the worker's log has the details.")
            )


def _id_of(job: Any) -> str:
    """The job's id, the same when it is delivered again; one of its own where it has none."""
    found = job.get("id") if isinstance(job, Mapping) else None
    if not isinstance(found, str) or found in ("", _TRIED_OUT):
        return str(uuid4())
    return found if _JOB_ID.fullmatch(found) else hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()


def _call_of(job: Any) -> tuple[DeclaredTask, dict[str, Any]]:
    """The task of a job, and its arguments, which are not checked yet.

    Raises:
        InvalidPayload: the input has another form, or names another task.
    """
    given = job.get("input") if isinstance(job, Mapping) else None
    if not isinstance(given, Mapping):
        raise InvalidPayload(f"The job has no input. {_EXAMPLE}")
    unknown = [_shown(name) for name in given if name not in _FIELDS]
    if unknown:
        raise InvalidPayload(f"unknown field {unknown[0]} in the input (known: {', '.join(_FIELDS)})")
    name, arguments = given.get("task"), given.get("payload")
    if not isinstance(name, str) or name not in _TASKS:
        raise InvalidPayload(f"task: {_shown(name)} is none of {', '.join(_TASKS)}")
    if not isinstance(arguments, Mapping):
        raise InvalidPayload(f"payload: not an object. {_EXAMPLE}")
    try:
        json.dumps(arguments, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidPayload(
            f"{name}: the payload has text that is no Unicode, is no JSON, or is nested too deep."
        ) from None
    return _TASKS[name], dict(arguments)


def _shown(name: Any) -> str:
    text = reprlib.repr(name) if isinstance(name, dict | list) else repr(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _failure(error: QuireError) -> Answer:
    again = " Send the job again." if error.retryable else ""
    text = " ".join(without_surrogates(f"{error.code}: {error.message}{again}").split())
    text = Redaction(get_settings())(text)[:_LONGEST_ERROR]
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    logger.info("the job failed: %s", text)
    return {"status": "error", "error": text}


def load_engine() -> None:
    """Prepare this process for reading pages, in the thread that will. Where that fails, `check_engine` will say so."""
    settings, started = get_settings(), time.perf_counter()
    remove_abandoned(settings)
    limit_memory(settings, 1)
    try:
        engine = pool.get_ocr_engine()
        engine.warm_up()
    except EngineUnavailable as error:
        logger.critical("The OCR engine cannot be used: %s", error.message)
    except Exception:
        logger.exception("The OCR engine failed while it was loaded.")
    else:
        logger.info("OCR engine ready after %.1f s: %s", time.perf_counter() - started, engine.version)


def check_engine() -> None:
    """Have the engine read a small page whose text is known.

    Raises:
        EngineUnavailable: it cannot be loaded, or reads something else, as on a GPU that its build does not support.
    """
    languages = merge_languages(get_settings().paddleocr_lang, ())
    (lines,) = pool.get_ocr_engine().recognize([warm_up_page()], languages)
    read = {character for line in lines for character in line.text}
    if len(read & set("0123456789")) < 8:
        raise EngineUnavailable("The OCR engine does not read its test page. Check the GPU, its driver and the models.")


def main() -> None:
    """Load the models, then work on jobs until SIGTERM."""
    logs.configure_api(get_settings())
    # At DEBUG, its default, RunPod's package prints what handlers return: the text of documents.
    os.environ["RUNPOD_LOG_LEVEL"] = "INFO"
    jobs = OneThread(answer, get_settings())
    loading = jobs.submit(load_engine)
    # It takes as long as the models; a cold start pays for one of the two.
    import runpod
    from runpod.serverless.modules import rp_http, rp_scale

    from runtime.runpod_loop import RunpodLoop

    loading.result()

    async def engine_reads() -> None:
        await jobs.call(check_engine)

    runpod.serverless.register_fitness_check(engine_reads)
    RunpodLoop(jobs.stop_soon).install(rp_scale, rp_http)
    try:
        runpod.serverless.start({"handler": jobs.run})
    finally:
        # The interpreter takes its handlers down before it ends, and another one would make the exit status a signal's.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tracing.shut_down()


if __name__ == "__main__":
    main()
