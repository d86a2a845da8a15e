"""The serverless handler without the platform: a job a line on stdin, its answer a line on stdout."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading

from serverless_handler import handler

_LONGEST_SECONDS = 60


def main() -> None:
    watchdog = threading.Timer(_LONGEST_SECONDS, _end_with_traceback)
    watchdog.daemon = True
    watchdog.start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Engines print.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        print(json.dumps(handler(json.loads(line))), file=answers, flush=True)


def _end_with_traceback() -> None:
    """A worker that hangs says where, and the test reads it."""
    faulthandler.dump_traceback(all_threads=True)
    os._exit(3)


if __name__ == "__main__":
    main()
