"""What is compared: Quire's policy, a fixed number of pods, and the formula of KEDA's Redis scaler."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from quire.burst.model import Decision, Observation
from quire.burst.policy import PolicySettings, PolicyState, decide


@dataclass
class Quire:
    """The policy that is shipped, with the state that the controller would keep."""

    settings: PolicySettings = field(default_factory=PolicySettings)
    state: PolicyState = field(default_factory=PolicyState)

    def decide(self, seen: Observation) -> Decision:
        decision, self.state = decide(seen, self.state, self.settings)
        return decision


@dataclass
class Fixed:
    """Always so many pods, from the first arrival on; one that is gone is replaced. They end with the trace."""

    pods: int

    def decide(self, seen: Observation) -> Decision:
        return Decision(create=max(0, self.pods - len(seen.pods)))


@dataclass
class Keda:
    """`ceil(length / target)`, looked at every 30 s; down at once to what is wanted, to zero after 300 s of nothing.

    The length is that of the Redis list, which knows nothing of pages that are worked on; a pod that is too many is
    ended whatever it does, the newest first, as Kubernetes chooses. See `redis_scaler.go`, and HPA's own documentation.
    """

    target: int
    most: int
    cooldown_seconds: float = 300.0
    poll_seconds: float = 30.0
    _next: float = 0.0
    _active_at: float = -math.inf

    def decide(self, seen: Observation) -> Decision:
        if seen.work is None or seen.now < self._next:
            return Decision()
        self._next = seen.now + self.poll_seconds
        if seen.work.waiting_pages:
            self._active_at = seen.now
        wanted = min(self.most, math.ceil(seen.work.waiting_pages / self.target))
        if not wanted and seen.now - self._active_at < self.cooldown_seconds:
            wanted = min(1, len(seen.pods))
        newest = sorted(seen.pods, key=lambda pod: pod.created_at, reverse=True)
        too_many = max(0, len(newest) - wanted)
        return Decision(max(0, wanted - len(newest)), (), tuple(pod.id for pod in newest[:too_many]))
