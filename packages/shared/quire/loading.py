"""Python's garbage collector, out of the way while a process loads its modules, and when it ends.

Import this before what takes long to import, and call `loaded` when everything is there. What is imported stays as long
as the process: the collector would look at all of it again and again and find nothing, which is a third of the time
that a worker takes to start; and once more at the end, which is as long again.
"""

from __future__ import annotations

import atexit
import gc

gc.disable()
# What is there at the end goes with the process.
atexit.register(gc.freeze)


def loaded() -> None:
    """Collect garbage from now on, and leave what is there now alone: children that are forked share its memory."""
    gc.freeze()
    gc.enable()
