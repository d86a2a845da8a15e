"""What this process has used so far: CPU seconds and memory, those of programs it ran included."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Final

import psutil

_STATUS: Final = Path("/proc/self/status")
_MIB: Final = 1024 * 1024
# `ru_maxrss` is in KiB on Linux and in bytes on macOS.
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def cpu_seconds() -> float:
    """CPU seconds of all threads of this process and of the children it has waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def rss_mib() -> float:
    """Resident memory now, in MiB."""
    return float(psutil.Process().memory_info().rss) / _MIB


def peak_mib() -> float:
    """The most resident memory that this process, or a child it has waited for, ever had, in MiB."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MAXRSS_UNIT / _MIB
    return max(_own_peak_mib(), children)


def _own_peak_mib() -> float:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    # Not `ru_maxrss`, where there is better: across `exec` it keeps the memory of the process that started this one.
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT / _MIB
