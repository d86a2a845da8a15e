"""What the worker loop of `runpod` costs a job: `python -m tests.serverless.short_jobs`, from the root of the checkout.

Jobs of one page each, read by an engine that costs nothing, with the pauses of the loop; then one job of as many pages.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from quire.embedded import ChildProcess
from tests.serverless.conftest import FAST, WORKER, handler_environment, put_cells
from tests.serverless.standin import Platform

_JOBS = 20


def main() -> int:
    """Print the seconds of each."""
    with tempfile.TemporaryDirectory() as name, Platform(poll_seconds=5) as platform:
        folder = Path(name)
        keys = [put_cells(folder, f"{number}.pdf", [900_000 + number]) for number in range(_JOBS)]
        keys.append(put_cells(folder, "all.pdf", range(910_000, 910_000 + _JOBS)))
        env = handler_environment(folder, folder / "models") | platform.environment
        with ChildProcess(FAST, log=folder / "log", env=env, cwd=WORKER) as handler:
            assert platform.until(lambda: platform.polls > 0, 60), handler.last_lines(20)
            many = _seconds(platform, keys[:-1])
            one = _seconds(platform, keys[-1:])
            handler.kill()
    print(f"{_JOBS} jobs of one page: {many:.1f} s, {many / _JOBS:.2f} s each; one job of {_JOBS} pages: {one:.1f} s")
    return 0


def _seconds(platform: Platform, keys: list[str]) -> float:
    begun = time.monotonic()
    for key in keys:
        platform.send(key, {"task": "tasks.ocr_document", "payload": {"key": key}})
    for key in keys:
        platform.result(key, 120)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
