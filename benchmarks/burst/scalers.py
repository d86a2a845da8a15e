"""What is compared: Quire's policy, a fixed number of pods, and the formula of KEDA's Redis scaler."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from quire.burst.model import Decision, Observation
from quire.burst.policy import PolicySettings, PolicyState, decide


@dataclass
class Quire:
    """The policy that is shipped, with the state that the controller would keep."""

    settings: PolicySettings = field(default_factory=PolicySettings)
    state: PolicyState = field(default_factory=PolicyState)

    def decide(self, seen: Observation) -> Decision:
        """See `Scaler.decide`."""
        decision, self.state = decide(seen, self.state, self.settings)
        return decision


# Kubernetes, or whoever keeps a number of pods, starts one again that does not come up.
_BOOT_SECONDS: Final = 600.0


def _never_came(seen: Observation) -> tuple[str, ...]:
    return tuple(pod.id for pod in seen.pods if pod.phase == "booting" and seen.now - pod.created_at >= _BOOT_SECONDS)


@dataclass
class Fixed:
    """Always so many pods, from the first arrival on; one that is gone, or does not boot, is replaced."""

    pods: int

    def decide(self, seen: Observation) -> Decision:
        """See `Scaler.decide`."""
        return Decision(create=max(0, self.pods - len(seen.pods)), terminate=_never_came(seen))


@dataclass
class Keda:
    """`ceil(length / target)` of KEDA's Redis scaler, looked at every 30 s; to zero after 300 s with an empty list.

    The length is that of the list, which knows nothing of pages that are worked on. Between one and `most` the
    HorizontalPodAutoscaler goes down to the most that was wanted in the last 300 s (its scale-down window). A pod that
    is too many, the newest first, gets SIGTERM and finishes its pages, as one of Quire's that is drained.
    """

    target: int
    most: int
    cooldown_seconds: float = 300.0
    window_seconds: float = 300.0
    poll_seconds: float = 30.0
    _next: float = 0.0
    _active_at: float = -math.inf
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, seen: Observation) -> Decision:
        """See `Scaler.decide`."""
        over = _never_came(seen) + tuple(pod.id for pod in seen.pods if pod.phase == "draining" and not pod.busy)
        if seen.work is None or seen.now < self._next:
            return Decision(terminate=over)
        self._next = seen.now + self.poll_seconds
        staying = [pod for pod in seen.pods if pod.phase != "draining" and pod.id not in over]
        wanted = self._most_wanted(seen.now, seen.work.waiting_pages, len(staying))
        newest = sorted(staying, key=lambda pod: pod.created_at, reverse=True)
        leaving = newest[: max(0, len(newest) - wanted)]
        # One that boots has no pages to finish.
        ended = tuple(pod.id for pod in leaving if pod.phase == "booting")
        drained = tuple(pod.id for pod in leaving if pod.phase == "ready")
        return Decision(max(0, wanted - len(staying)), drained, over + ended)

    def _most_wanted(self, now: float, waiting: int, there: int) -> int:
        if waiting:
            self._active_at = now
        elif now - self._active_at >= self.cooldown_seconds:
            self._wanted.clear()
            return 0
        self._wanted.append((now, min(self.most, max(1, math.ceil(waiting / self.target)))))
        while self._wanted[0][0] <= now - self.window_seconds:
            self._wanted.popleft()
        return max(wanted for _, wanted in self._wanted) if waiting or there else 0
