"""A limit on the memory of a process that reads pages: a hostile file must end its process, not the machine.

A few hundred bytes of PDF can make native code take all memory there is. At the limit Python code gets a `MemoryError`
and the page `out_of_memory`; native code ends the process, the page is tried again alone, and then given up.
"""

from __future__ import annotations

import logging
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from quire.settings import MIB, Settings

logger = logging.getLogger(__name__)

# Of the machine's memory, shared by the processes of a worker.
_SHARE: Final = 0.75
# What a process may always have: allocators reserve several times what they use.
_LEAST: Final = 6 * 1024 * MIB
# The memory limit of a container, where there is one (cgroup v2, v1).
_CONTAINER_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def limit_memory(settings: Settings, processes: int) -> None:
    """Limit the writable memory of this process (`RLIMIT_DATA`), one of so many of its worker.

    `QUIRE_MEMORY_LIMIT` MiB; 0 is no limit. Left out: a share of the machine's or container's memory, and none with a
    GPU, whose driver maps more than it uses.
    """
    limit = limit_bytes(settings, processes)
    if limit is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
        logger.info("This process may take %s MiB of memory.", f"{limit // MIB:,}")


def limit_bytes(settings: Settings, processes: int) -> int | None:
    """The limit for one of so many processes in bytes; None is no limit."""
    if settings.quire_memory_limit is not None:
        return settings.quire_memory_limit * MIB or None
    if settings.uses_gpu:
        return None
    return max(_LEAST, int(_memory() * _SHARE / processes))


def _memory() -> int:
    """Bytes of memory that this machine or container has."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _CONTAINER_LIMITS:
        # Absent, or "max".
        with suppress(OSError, ValueError):
            found.append(int(Path(name).read_text(encoding="ascii")))
    return min(found)
