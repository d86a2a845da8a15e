"""How much CPU time each part of the system has used, from Linux's /proc; elsewhere nothing is known."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from quire.embedded.stack import Stack

_PROC: Final = Path("/proc")
# A part that uses less than this share of one core does nothing.
IDLE_SHARE: Final = 0.05


def parts_of(stack: Stack, **more: int) -> dict[str, int]:
    """The process ids of the stack's parts by name, and `more`."""
    postmaster = stack.home / "postgres" / "postmaster.pid"
    parts = {process.name: process.pid for process in stack.processes} | {"redis": stack.redis.pid} | more
    with suppress(OSError, ValueError, IndexError):
        parts["postgres"] = int(postmaster.read_text(encoding="utf-8").splitlines()[0])
    return parts


def cpu_seconds(parts: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds used so far by each part: the process, its living descendants, and those that have ended.

    `client` is this process alone, `others` every other program on the machine.
    """
    used, children = _processes()
    if not used:
        return {}
    seconds = {name: _with_descendants(pid, used, children) for name, pid in parts.items() if pid in used}
    seconds["client"] = time.process_time()
    return seconds | {"others": sum(used.values()) - sum(seconds.values())}


def used_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each part between two answers of `cpu_seconds`."""
    return {name: after[name] - before[name] for name in before if name in after}


def wait_until_idle(parts: Mapping[str, int], *, timeout_seconds: float = 30) -> float:
    """Wait until the parts do nothing; the cores they still used in the last second, 0.0 to the number of cores."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        before, started = cpu_seconds(parts), time.monotonic()
        time.sleep(1)
        after = used_between(before, cpu_seconds(parts))
        share = sum(after.get(name, 0.0) for name in parts) / (time.monotonic() - started)
        if share <= IDLE_SHARE or time.monotonic() > deadline:
            return share


def _processes() -> tuple[dict[int, float], dict[int, list[int]]]:
    """CPU seconds of every process, and its children."""
    tick = os.sysconf("SC_CLK_TCK")
    used: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for stat in _PROC.glob("[0-9]*/stat"):
        # A process may end while it is being looked at.
        with suppress(OSError, ValueError, IndexError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(stat.parent.name)
            # state, parent, …; the 12th to 15th are user and system time, its own and that of children it waited for.
            used[pid] = sum(int(ticks) for ticks in fields[11:15]) / tick
            children.setdefault(int(fields[1]), []).append(pid)
    return used, children


def _with_descendants(pid: int, used: Mapping[int, float], children: Mapping[int, list[int]]) -> float:
    return used.get(pid, 0.0) + sum(_with_descendants(child, used, children) for child in children.get(pid, ()))
