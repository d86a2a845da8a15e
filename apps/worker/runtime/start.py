"""`python -m runtime.start`: becomes the worker that the environment describes. `--beat`: with Celery beat in it.

For images and process files, which have no shell to put `CELERY_QUEUE` and `CELERY_CONCURRENCY` into a command line.
The worker takes the place of this process, so a supervisor's SIGTERM reaches it and its exit status the supervisor.
"""

from __future__ import annotations

import os
import sys

import workspace  # noqa: F401  isort: skip
from quire.errors import SettingsError
from quire.settings import Settings, load_settings


def worker_command(settings: Settings, *, beat: bool = False) -> list[str]:
    """The command line of a worker with these settings, program first. At most one worker of all has `beat`."""
    # -q: Celery's banner is no log line.
    worker = ["-m", "celery", "-q", "-A", "celery_app.celery_app", "worker", "-l", "info"]
    queue = ["-Q", settings.consumed_queue, "-c", str(settings.celery_concurrency)]
    schedule = ["-B", "-s", str(settings.quire_runtime_dir.absolute() / "beat-schedule")] if beat else []
    return [sys.executable, *worker, *queue, *schedule]


def main(arguments: list[str]) -> None:
    """Become the worker; ends with a sentence where the arguments or the settings cannot be used."""
    if arguments not in ([], ["--beat"]):
        sys.exit("usage: python -m runtime.start [--beat]")
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"quire worker: {error.message}")
    settings.quire_runtime_dir.mkdir(parents=True, exist_ok=True)
    command = worker_command(settings, beat=bool(arguments))
    os.execv(command[0], command)  # noqa: S606  no shell is what it is for


if __name__ == "__main__":
    main(sys.argv[1:])
