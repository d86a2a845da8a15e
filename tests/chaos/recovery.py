"""How long faults held reading up, by the clock of the database."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Self

import psycopg

_FINISHED = """
    SELECT extract(epoch FROM finished_at) FROM pages WHERE finished_at IS NOT NULL ORDER BY finished_at
"""
_OPEN = "SELECT extract(epoch FROM created_at), extract(epoch FROM finished_at) FROM documents"


@dataclass(frozen=True)
class Timeline:
    """When pages were finished, ascending, and from when to when each document was there and unfinished.

    Times are in seconds since 1970.
    """

    finished: list[float]
    open: list[tuple[float, float]]

    @classmethod
    def load(cls, url: str) -> Self:
        """What the tables say."""
        with psycopg.connect(url) as connection:
            finished = [float(moment) for (moment,) in connection.execute(_FINISHED)]
            documents = connection.execute(_OPEN).fetchall()
        return cls(finished, [(float(begin), math.inf if end is None else float(end)) for begin, end in documents])

    def wait_after(self, moment: float) -> float | None:
        """Seconds from a moment until the next page was finished; None where none was.

        Where there was nothing to read, they count from the next document on.
        """
        start = self._work_from(moment)
        following = bisect_right(self.finished, start)
        return round(self.finished[following] - start, 3) if following < len(self.finished) else None

    def longest_wait(self) -> float:
        """The longest time in which there were pages to read and none was finished, once the first one was."""
        return max((wait for moment in self.finished if (wait := self.wait_after(moment)) is not None), default=0.0)

    def _work_from(self, moment: float) -> float:
        if any(begin <= moment < end for begin, end in self.open):
            return moment
        return min((begin for begin, _ in self.open if begin > moment), default=math.inf)
