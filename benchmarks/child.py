"""A child process that answers requests: JSON values, one a line, in through its standard input and out again.

What is measured runs in such a child: its libraries, memory and threads are its own, and it idles, blocked on its
standard input, while another one is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.receipts import ROOT

Answer = Callable[[Any], Any]

_LOG_LINES: Final = 5
_SECONDS_TO_END: Final = 10


class ChildEnded(RuntimeError):
    """The process ended before it answered; the message has the end of its log."""


class Child:
    """`python -m MODULE ARGUMENTS` until the `with` block ends. Its standard error goes to the file `log`."""

    def __init__(self, module: str, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._arguments = arguments
        self._log = log
        self._environment = environment or {}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, request: Any) -> Any:
        """Send a JSON value, wait, and return the one that comes back.

        Raises:
            ChildEnded: and no answer will come.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=worker_environment(self._environment),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        # Closes its standard input, at which it ends.
        self._process.communicate()

    def _ended(self) -> ChildEnded:
        # Its pipes are closed before the error that ended it is written down.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return ChildEnded(f"{' '.join([self._module, *self._arguments])} ended:\n" + "\n".join(lines))


def worker_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with the worker's packages on the path, and `more`."""
    path: Sequence[str] = [str(ROOT / "apps" / "worker"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path).rstrip(os.pathsep)} | dict(more)


def serve(prepare: Callable[[], Answer]) -> None:
    """The child's side: call `prepare` once, then answer each request with what it returned, until the input ends."""
    # Libraries may print: their output goes where the errors go, the answers have the pipe to themselves.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        answer = prepare()
        for request in sys.stdin:
            print(json.dumps(answer(json.loads(request)), default=str), file=answers, flush=True)
