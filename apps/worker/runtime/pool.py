"""The processes of a worker: each loads its engine before the worker reports ready, and each hears when to drain.

Parent and children talk through a folder named after the parent's process id, which works for forked and for spawned
children alike: `warm-<pid>` (engine loaded), `failed` (why it could not be), `drain` (finish the page and stop).
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from celery import Celery, bootsteps, signals
from celery.worker import state as worker_state

from ocr.engines import OcrEngine, create_engine
from ocr.engines.by_options import Engines
from quire.errors import EngineUnavailable
from quire.scratch import remove_abandoned
from quire.settings import get_settings
from runtime.drain import end_within
from runtime.liveness import Liveness
from runtime.memory_limit import limit_memory

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.05
# What the parent knows and the children need; Celery carries its configuration into spawned children as well.
_READS_PAGES: Final = "quire_reads_pages"
_PROCESSES: Final = "quire_pool_processes"


def install(app: Celery) -> None:
    """Connect to the signals and start-up steps of workers of this app."""
    app.steps["worker"].update((WarmUp, Liveness))
    signals.celeryd_after_setup.connect(_note_queues, weak=False)
    signals.worker_process_init.connect(_warm_up_child, weak=False)
    signals.worker_shutting_down.connect(_start_draining, weak=False)
    signals.worker_shutdown.connect(_remove_folder, weak=False)


def is_draining() -> bool:
    """Whether the worker of this process is shutting down. Outside of a worker: False."""
    return (_folder(os.getppid()) / "drain").exists() or (_folder(os.getpid()) / "drain").exists()


def tell_processes_to_drain() -> None:
    """Let the processes of this worker finish the page they are on, and give back the others."""
    (_folder(os.getpid()) / "drain").touch()


def get_ocr_engine() -> OcrEngine:
    """The engine of this process, which is its own: engines are shared neither between processes nor threads."""
    return _engine_of_process(os.getpid())


@lru_cache(maxsize=1)
def _engine_of_process(_pid: int) -> OcrEngine:
    settings = get_settings()
    cores = len(os.sched_getaffinity(0))
    threads = settings.quire_ocr_threads or max(1, cores // _pool_processes())
    return Engines(create_engine(settings, threads), settings, threads)


class WarmUp(bootsteps.StartStopStep):  # type: ignore[misc]
    """Holds the worker back from its queue until every process has loaded its engine."""

    # The guard before it: a rented machine whose engine does not load must end as well.
    requires = ("celery.worker.components:Pool", "runtime.pod_guard:PodGuard")

    def start(self, worker: Any) -> None:
        """Wait for the children; without children (`-P solo`) load the engine here."""
        if not worker.app.conf.get(_READS_PAGES):
            return
        kind = type(worker.pool).__module__
        if kind.endswith("solo"):
            _warm_up_here(_folder(os.getpid()))
        elif not kind.endswith("prefork"):
            logger.critical(
                "The ocr queue needs -P prefork or -P solo: an engine shared by threads returns wrong text."
            )
            raise SystemExit(1)
        _wait_until_warm(worker)


def _wait_until_warm(worker: Any) -> None:
    folder = _folder(os.getpid())
    wanted = 1 if type(worker.pool).__module__.endswith("solo") else int(worker.pool.num_processes)
    deadline = time.monotonic() + get_settings().quire_warm_up_seconds
    while len(list(folder.glob("warm-*"))) < wanted:
        if (folder / "failed").exists():
            logger.critical("The OCR engine cannot be used: %s", (folder / "failed").read_text(encoding="utf-8"))
            raise SystemExit(1)
        if time.monotonic() > deadline:
            logger.critical("The OCR engine did not load within QUIRE_WARM_UP_SECONDS.")
            raise SystemExit(1)
        if worker_state.should_stop is not None or worker_state.should_terminate is not None:
            return
        time.sleep(_POLL_SECONDS)


def _note_queues(instance: Any, **_: Any) -> None:
    app = instance.app
    folder = _folder(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    reads_pages = get_settings().ocr_queue in app.amqp.queues.consume_from
    app.conf.update({_READS_PAGES: reads_pages, _PROCESSES: instance.concurrency})


def _warm_up_child(**_: Any) -> None:
    from celery import current_app

    if current_app.conf.get(_READS_PAGES):
        remove_abandoned(get_settings())
        limit_memory(get_settings(), _pool_processes())
        if not _warm_up_here(_folder(os.getppid())):
            # Celery swallows what a signal handler raises; a process without its engine must not take pages.
            os._exit(1)


def _pool_processes() -> int:
    from celery import current_app

    return int(current_app.conf.get(_PROCESSES) or 1)


def _warm_up_here(folder: Path) -> bool:
    started = time.perf_counter()
    try:
        get_ocr_engine().warm_up()
    except EngineUnavailable as error:
        return _report_failure(folder, error.message)
    except Exception as error:
        logger.exception("The OCR engine failed while it was loaded.")
        return _report_failure(folder, f"{type(error).__name__} while it was loaded; the log has the details.")
    (folder / f"warm-{os.getpid()}").touch()
    logger.info("OCR engine ready after %.1f s: %s", time.perf_counter() - started, get_ocr_engine().version)
    return True


def _report_failure(folder: Path, reason: str) -> bool:
    logger.critical("The OCR engine cannot be used: %s", reason)
    (folder / "failed").write_text(reason, encoding="utf-8")
    return False


def _start_draining(**_: Any) -> None:
    from celery import current_app

    tell_processes_to_drain()
    end_within(get_settings(), current_app._get_current_object())


def _remove_folder(**_: Any) -> None:
    shutil.rmtree(_folder(os.getpid()), ignore_errors=True)


def _folder(parent_pid: int) -> Path:
    return get_settings().quire_runtime_dir.absolute() / f"worker-{parent_pid}"
