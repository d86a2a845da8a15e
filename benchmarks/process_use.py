"""What this process has used so far: CPU seconds and memory, those of its children included."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Final

import psutil

_MIB: Final = 1024 * 1024
# `ru_maxrss` is in KiB on Linux and in bytes on macOS.
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def cpu_seconds() -> float:
    """CPU seconds of all threads of this process and of its children, those it has waited for included."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    living = sum(sum(child.cpu_times()[:4]) for child in _children())
    return living + sum(usage.ru_utime + usage.ru_stime for usage in usages)


def rss_mib() -> float:
    """Resident memory now of this process and its children, in MiB: what they share counts for each."""
    processes = (psutil.Process(), *_children())
    return sum(float(process.memory_info().rss) for process in processes) / _MIB


def peak_mib() -> float:
    """The most resident memory that this process and its living children ever had, in MiB, each on its own.

    Or that of the largest child it has waited for, where that was more.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MAXRSS_UNIT / _MIB
    return max(_own_peak_mib() + sum(_peak_mib(child) for child in _children()), ended)


def _children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def _peak_mib(process: psutil.Process) -> float:
    recorded = _recorded_peak_mib(Path(f"/proc/{process.pid}/status"))
    return float(process.memory_info().rss) / _MIB if recorded is None else recorded


def _own_peak_mib() -> float:
    # Not `ru_maxrss`, where there is better: across `exec` it keeps the memory of the process that started this one.
    recorded = _recorded_peak_mib(Path("/proc/self/status"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT / _MIB if recorded is None else recorded


def _recorded_peak_mib(status: Path) -> float | None:
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
