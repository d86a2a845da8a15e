"""Asking RunPod over HTTP: which answers are final, which mean "later", and which leave open whether it was done."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from pydantic import SecretStr

from quire.errors import RunpodKeyRejected, RunpodRefused, RunpodUncertain, RunpodUnreachable

_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 8.0
_CONNECT_SECONDS: Final = 5.0
# RunPod answers within a second; a result may have 10 MB.
_ANSWER_SECONDS: Final = 15.0

_REJECTED: Final = (401, 403)
# The platform says that it did not do it. What a gateway says (502, 504, 52x) tells nothing about what is behind it.
_NOT_DONE: Final = (429, 500, 503)


class RunpodHttp:
    """A connection to one of RunPod's addresses.

    `not_done`: statuses after which it is known that nothing was done. `answer_seconds`: an answer may take so long.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr,
        *,
        pause: Callable[[float], None] = time.sleep,
        not_done: tuple[int, ...] = _NOT_DONE,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._pause = pause
        self._not_done = not_done
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            timeout=httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS),
            # The key goes to nobody else.
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        what: str,
        twice: bool = True,
        missing_is_none: bool = False,
    ) -> httpx.Response | None:
        """An answer with a status of 2xx; None for 404 where `missing_is_none`. `twice`: asking again does no harm.

        Raises:
            RunpodKeyRejected: the key is not taken.
            RunpodRefused: the same request will never be answered otherwise.
            RunpodUncertain: it may have been done, and is not to be asked `twice`.
            RunpodUnreachable: there was no answer, or "later", each time, and nothing was done.
        """
        why = ""
        for attempt in range(_ATTEMPTS):
            wait = 0.0
            try:
                answer = self._client.request(method, path, json=body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                why = type(error).__name__
            except httpx.RequestError as error:
                why = type(error).__name__
                if not twice:
                    raise RunpodUncertain(f"RunPod's answer to {what} was lost ({why}).") from None
            else:
                if answer.is_success:
                    return answer
                if answer.status_code == httpx.codes.NOT_FOUND and missing_is_none:
                    return None
                self._refuse(what, answer, twice)
                why, wait = f"HTTP status {answer.status_code}", _retry_after(answer)
            if attempt + 1 == _ATTEMPTS or wait > _LONGEST_PAUSE_SECONDS:
                break
            self._pause(max(wait, _jittered(attempt)))
        raise RunpodUnreachable(f"RunPod did not answer {what} ({why}). It is tried again.")

    def _refuse(self, what: str, answer: httpx.Response, twice: bool) -> None:
        """Raise for an answer that asking again does not change; return where it may."""
        code = answer.status_code
        if code in _REJECTED:
            raise RunpodKeyRejected(f"RunPod does not take the key for {what} (HTTP status {code}): RUNPOD_API_KEY.")
        if code in self._not_done or (twice and (code >= 500 or code == httpx.codes.REQUEST_TIMEOUT)):
            return
        if code >= 500 or code == httpx.codes.REQUEST_TIMEOUT:
            raise RunpodUncertain(f"RunPod's answer to {what} was lost (HTTP status {code}).")
        # Nothing of what it says: that may repeat what it was sent.
        raise RunpodRefused(f"RunPod refused {what} (HTTP status {code}). Check the RUNPOD_ variables and the account.")


def json_object(answer: httpx.Response | None) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where it has none."""
    try:
        said = answer.json() if answer is not None else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def number_of(said: Any) -> float | None:
    """What an answer has for a price or a time; None where that is none."""
    is_number = isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said) and said >= 0
    return float(said) if is_number else None


def _retry_after(answer: httpx.Response) -> float:
    """The seconds that the platform asks for; 0 where it asks for none."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _jittered(attempt: int) -> float:
    ceiling = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
    return random.uniform(ceiling / 2, ceiling)
