"""The API as the commands use it: answers as plain values, problems as errors, events as they come."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx

from quire.cli.exit_codes import ApiUnreachable, Refused
from quire.settings import Settings

_PREFIX: Final = "/api/v1"
_TIMEOUT: Final = httpx.Timeout(60, connect=5)
# The stream is never silent for longer: there are heartbeats.
_EVENTS_TIMEOUT: Final = httpx.Timeout(60, connect=5, read=45)
_RECONNECTS: Final = 5
_RECONNECT_SECONDS: Final = 1.0

Json = dict[str, Any]


class Api:
    """The API of these settings, for as long as the `with` block lasts.

    Every method raises `ApiUnreachable` where it does not answer, and `Refused` where it answers with a problem.
    """

    def __init__(self, settings: Settings) -> None:
        key = settings.quire_api_key
        self._url = settings.quire_api_url.rstrip("/")
        self._client = httpx.Client(
            base_url=self._url,
            timeout=_TIMEOUT,
            headers={} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, **request: Any) -> Json:
        """The JSON of an answer; empty where it has none. `request` is what httpx takes."""
        with self._transport():
            answer = self._client.request(method, _PREFIX + path, **request)
        _refuse_problem(answer)
        try:
            return dict(answer.json()) if answer.content else {}
        except (ValueError, TypeError):
            raise _unexpected(answer) from None

    @contextmanager
    def download(self, path: str, params: Json) -> Iterator[httpx.Response]:
        """An answer whose body is read in pieces."""
        with self._transport(), self._client.stream("GET", _PREFIX + path, params=params) as answer:
            if answer.is_error:
                answer.read()
            _refuse_problem(answer)
            yield answer

    def follow(self, document_id: object) -> Iterator[Json]:
        """A document each time something about it changes, until it has ended. Goes on where a connection breaks."""
        # Whether there is an API and a document is known at once; only what breaks later is waited for.
        yield self.call("GET", f"/documents/{document_id}")
        last_event, failures, ended = "", 0, False
        while not ended:
            # A stream that ends early, without having said anything, is no better than none.
            failures += 1
            with suppress(httpx.TransportError):
                for name, data, event_id in self._events(document_id, last_event):
                    last_event, failures = event_id or last_event, 0
                    if name == "document":
                        yield data
                    ended = ended or name == "end"
            if failures > _RECONNECTS:
                raise self._unreachable()
            if not ended:
                time.sleep(_RECONNECT_SECONDS)
        yield self.call("GET", f"/documents/{document_id}")

    def _events(self, document_id: object, last_event: str) -> Iterator[tuple[str, Json, str]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event} if last_event else {})
        path = f"{_PREFIX}/documents/{document_id}/events"
        with self._client.stream("GET", path, headers=headers, timeout=_EVENTS_TIMEOUT) as answer:
            if answer.is_error:
                answer.read()
            _refuse_problem(answer)
            if answer.status_code == httpx.codes.NO_CONTENT:
                # Its end was told before the connection broke.
                yield "end", {}, ""
            yield from _parse_events(answer.iter_lines())

    @contextmanager
    def _transport(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL):
            raise self._unreachable() from None

    def _unreachable(self) -> ApiUnreachable:
        return ApiUnreachable(f"There is no API at {self._url}. Start it (make run), or set QUIRE_API_URL.")


def _parse_events(lines: Iterator[str]) -> Iterator[tuple[str, Json, str]]:
    """Server-sent events as (name, data, id); comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                joined = f"{fields[name]}\n" if name == "data" and name in fields else ""
                fields[name] = joined + value.removeprefix(" ")
        elif "data" in fields:
            yield fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", "")
            fields = {}
        else:
            fields = {}


def _refuse_problem(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        problem = answer.json()
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        raise _unexpected(answer) from None
    raise Refused(code, detail, unavailable=_says_unavailable(answer))


def _unexpected(answer: httpx.Response) -> Refused:
    message = f"What answered {answer.status_code} is not Quire's API. Check QUIRE_API_URL."
    return Refused("unexpected_answer", message, unavailable=_says_unavailable(answer))


def _says_unavailable(answer: httpx.Response) -> bool:
    return answer.status_code in {502, 503, 504}
