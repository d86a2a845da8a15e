"""Child processes that end when they are told to, and when their parent is gone."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1


class ChildProcess:
    """A program with its output in a log file.

    It leads a session of its own, so that Ctrl-C in a terminal reaches the parent only, which then stops its children
    in order. On Linux the kernel ends it when the parent dies, however that happens; to the kernel the parent is
    the thread that started it, so start it from one that stays.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        niceness: int = 0,
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.name = log.stem
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if env is None else env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  one system call, resolved before the fork
            )

        if niceness:
            self._give_way(niceness)

    def _give_way(self, niceness: int) -> None:
        os.setpriority(os.PRIO_PROCESS, self.pid, niceness)
        # Where Linux groups processes by their session, niceness counts within a group only; groups have their own.
        with suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(niceness), encoding="ascii")

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def stop(self, *, grace_seconds: float = 30) -> None:
        """Ask it to end (SIGTERM); make it end after the grace period. Does nothing to a process that has ended."""
        if self.exit_status is None:
            self._process.terminate()
            # A suspended process would not hear it.
            self.resume()
            try:
                self._process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), with everything it started in its session."""
        if self.exit_status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def suspend(self) -> None:
        """Halt it (SIGSTOP) with everything in its session, as a machine that hangs would."""
        self._signal_session(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `suspend` (SIGCONT); does nothing to a process that runs."""
        self._signal_session(signal.SIGCONT)

    def _signal_session(self, number: signal.Signals) -> None:
        if self.exit_status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def last_lines(self, count: int = 5) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _end_with_parent() -> Callable[[], None] | None:
    """For the moment between fork and exec: have the kernel send SIGTERM when the parent dies (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    # Loaded before the fork: loading a library in the child of a process with threads may deadlock.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_kernel


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
