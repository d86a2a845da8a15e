"""The pod that a worker runs on, which the worker ends itself: nobody else may be left to do it.

A pod whose command has ended is started again by the platform, and paid for. So this does not return.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import httpx
from pydantic import SecretStr

logger = logging.getLogger(__name__)

Answer = Literal["done", "refused", "unknown"]

_ANSWER_SECONDS: Final = 20.0
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 300.0
# After which a pod that was told to end is asked to end again.
_GONE_SECONDS: Final = 120.0

_TERMINATE: Final = "mutation end($input: PodTerminateInput!) { podTerminate(input: $input) }"
_STOP: Final = "mutation end($input: PodStopInput!) { podStop(input: $input) { id } }"


class OwnPod:
    """The pod, by its id and the key that the platform gives it for itself."""

    def __init__(self, base_url: str, pod_id: str, key: SecretStr) -> None:
        self._url, self._pod_id, self._key = f"{base_url.rstrip('/')}/graphql", pod_id, key

    def end(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Terminate the pod, or stop it where that is refused; again and again, for as long as it is there."""
        for attempt in itertools.count():
            sleep(_GONE_SECONDS if self.ask_to_end() == "done" else _pause(attempt))

    def ask_to_end(self) -> Answer:
        """Ask once. Stopping is second best: the GPU is not paid for any more, the disk is."""
        answer = self._ask(_TERMINATE)
        return self._ask(_STOP) if answer == "refused" else answer

    def _ask(self, mutation: str) -> Answer:
        request = {"query": mutation, "variables": {"input": {"podId": self._pod_id}}}
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"}
        try:
            response = httpx.post(self._url, json=request, headers=headers, timeout=_ANSWER_SECONDS)
            answer = _meaning_of(response)
        except (httpx.HTTPError, ValueError) as error:
            logger.warning("the platform could not be asked to end this pod: %s", type(error).__name__)
            return "unknown"
        # Not what it says, which may repeat the request.
        logger.warning("asked to end this pod, the platform answered %d: %s", response.status_code, answer)
        return answer


def _meaning_of(response: httpx.Response) -> Answer:
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
        return "unknown"
    if not response.is_success:
        return "refused"
    body: Any = response.json()
    return "done" if isinstance(body, dict) and not body.get("errors") else "refused"


def _pause(attempt: int) -> float:
    """Seconds until the next attempt: doubling."""
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 10), _LONGEST_PAUSE_SECONDS)
