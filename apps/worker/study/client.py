"""Asks a language model at any endpoint that speaks OpenAI's chat completions, and takes only answers that fit a model.

Neither what is sent nor what is answered reaches a log or an error: both are a document's text.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, cast

import httpx
from pydantic import BaseModel, ValidationError

from quire.errors import (
    LlmContextOverflow,
    LlmFailed,
    LlmKeyRejected,
    LlmRefused,
    LlmUnavailable,
    LlmUnreachable,
    QuireError,
)
from quire.settings import Settings
from quire.telemetry import meters
from study.bounded_answer import bounding

# Where it is used it is imported: it would be a third of the time that a worker takes to start.
if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

M = TypeVar("M", bound=BaseModel)

Mode = Literal["schema", "json", "plain"]
_SIMPLER: Final[dict[Mode, Mode]] = {"schema": "json", "json": "plain"}

# Seconds after which a request is not tried again, however many attempts are left.
_PATIENCE_SECONDS: Final = 300.0
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
# An endpoint that asks for a longer pause is asked again by another task.
_LONGEST_WAIT_SECONDS: Final = 60.0
# An answer that was cut off may be this many times as long as usual.
_MOST_ROOM: Final = 4
_REPAIRS: Final = 1

_OVERFLOW: Final = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|too many tokens|prompt is too long", re.I
)
_FILTER: Final = re.compile(r"content.{0,3}(filter|policy|management)", re.I)
_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.S | re.I)
# Some models think aloud first.
_THOUGHTS: Final = re.compile(r"<think>.*?</think>", re.S | re.I)


@dataclass(frozen=True)
class Prompt:
    """One request: what the model is to do, the text that it is to do it with, and the shape of its answer."""

    system: str
    user: str

    def digest(self, model: str, answer: type[BaseModel]) -> str:
        """SHA-256 of the request as hex: equal for requests that an answer may be used for again."""
        parts = [model, self.system, self.user, json.dumps(answer.model_json_schema(), sort_keys=True)]
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True)
class Tokens:
    """What requests have cost, as the endpoint counts it."""

    requests: int = 0
    input: int = 0
    output: int = 0


class _Unusable(Exception):
    """What came back was no answer. `text` is what it was, for a repair."""

    def __init__(self, why: str, text: str = "", *, cut_off: bool = False) -> None:
        super().__init__(why)
        self.why, self.text, self.cut_off = why, text, cut_off


class _Simpler(Exception):
    """The endpoint does not know the way in which the answer's shape was asked for."""


class _Again(Exception):
    """The endpoint may answer later. `wait` is the seconds that it asked for."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why, self.wait = why, wait


_OUTCOMES: Final[dict[type[Exception], str]] = {
    _Unusable: "unusable",
    _Simpler: "unsupported",
    _Again: "unreachable",
}


@dataclass
class LlmClient:
    """A model at an endpoint. Any number of threads may ask it at once.

    `note` is told after every request what it has cost, also of those whose answer is no use. With `stopping` set no
    request is tried again.
    """

    settings: Settings
    note: Callable[[Tokens], None] = lambda _: None
    stopping: threading.Event = field(default_factory=threading.Event)
    _mode: Mode = field(default="schema", init=False)

    def __post_init__(self) -> None:
        key = self.settings.openai_api_key
        if key is None:
            raise LlmUnavailable(
                "No language model is set up. Set OPENAI_API_KEY for the workers of the default queue (and "
                "OPENAI_BASE_URL for an endpoint of your own), then make this again."
            )
        import openai

        # At the level that OPENAI_LOG asks for it writes whole requests.
        logging.getLogger("openai").setLevel(logging.WARNING)
        seconds = self.settings.quire_llm_timeout_seconds
        # The package takes clients of this library, whatever its own types say.
        http: Any = httpx.Client(timeout=seconds, follow_redirects=True, event_hooks={"response": [bounding(seconds)]})
        self._client = openai.OpenAI(
            api_key=key.get_secret_value(),
            base_url=self.settings.openai_base_url,
            timeout=seconds,
            http_client=http,
            # Tried again here, where the cause, the pauses and the whole time are known.
            max_retries=0,
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def ask(self, prompt: Prompt, answer: type[M]) -> M:
        """The model's answer, which fits `answer`.

        Raises:
            LlmUnreachable: no answer came, though it was tried again: later it may.
            LlmKeyRejected, LlmUnavailable: the endpoint takes no requests like this before its settings are changed.
            LlmRefused: the model does not want to work on this text.
            LlmContextOverflow: the request is too long for the model.
            LlmFailed: what came does not fit, though it was asked for again.
        """
        return _Asking(self, prompt, answer).until_usable()

    def send(self, mode: Mode, messages: Sequence[dict[str, str]], answer: type[BaseModel], room: int) -> str:
        """One request, which is counted; the text of its answer. Errors are those of `_Asking`, or typed."""
        begun_at, outcome = time.monotonic(), "internal"
        try:
            text = self._send(mode, messages, answer, room)
            outcome = "answered"
        except (_Unusable, _Simpler, _Again) as error:
            outcome = _OUTCOMES[type(error)]
            raise
        except QuireError as error:
            outcome = error.code
            raise
        finally:
            meters.record_llm_request(outcome, time.monotonic() - begun_at)
        return text

    def _send(self, mode: Mode, messages: Sequence[dict[str, str]], answer: type[BaseModel], room: int) -> str:
        import openai

        try:
            # Not `chat.completions.parse`: it raises away what was used where an answer is cut off.
            completion = self._client.chat.completions.create(
                model=self.settings.openai_model,
                messages=cast(Any, list(messages)),
                **self._room(room),
                **_response_format(mode, answer),
            )
        except openai.APIStatusError as error:
            self.note(Tokens(requests=1))
            raise _from_status(error, mode) from None
        except openai.APITimeoutError:
            self.note(Tokens(requests=1))
            raise _Again("it did not answer in time") from None
        except openai.APIConnectionError:
            raise _Again("the connection failed") from None
        except (openai.OpenAIError, ValueError, TypeError):
            self.note(Tokens(requests=1))
            raise _Unusable("the answer is no chat completion") from None
        return self._text_of(completion)

    def simplify(self, mode: Mode) -> bool:
        """Ask for the shape of answers in a simpler way from now on; False if there is none."""
        if self._mode == mode and mode in _SIMPLER:
            self._mode = _SIMPLER[mode]
        return self._mode != mode

    @property
    def mode(self) -> Mode:
        """The way in which the endpoint is asked for the shape of an answer."""
        return self._mode

    def _room(self, tokens: int) -> dict[str, Any]:
        # OpenAI's newer models take one name only, most servers that speak its protocol the other.
        name = "max_completion_tokens" if self.settings.openai_base_url is None else "max_tokens"
        return {name: tokens}

    def _text_of(self, completion: ChatCompletion) -> str:
        usage = getattr(completion, "usage", None)
        self.note(
            Tokens(1, int(getattr(usage, "prompt_tokens", 0) or 0), int(getattr(usage, "completion_tokens", 0) or 0))
        )
        choices = getattr(completion, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise _Unusable("the answer has no choices")
        choice = choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise _refused()
        text = choice.message.content or ""
        if choice.finish_reason == "length":
            raise _Unusable("the answer was cut off", cut_off=True)
        return text


@dataclass
class _Asking(Generic[M]):
    """One question, through all its attempts."""

    client: LlmClient
    prompt: Prompt
    answer: type[M]

    def __post_init__(self) -> None:
        settings = self.client.settings
        self._ends_at = time.monotonic() + _PATIENCE_SECONDS
        self._attempts = settings.quire_llm_attempts
        self._room = settings.quire_llm_output_tokens
        self._repair: list[dict[str, str]] = []
        self._repairs = 0

    def until_usable(self) -> M:
        failed = 0
        while True:
            mode = self.client.mode
            try:
                return self._parse(self.client.send(mode, self._messages(mode), self.answer, self._room))
            except _Simpler:
                if not self.client.simplify(mode):
                    raise LlmFailed(
                        "The endpoint does not take requests of this form. Check OPENAI_BASE_URL and OPENAI_MODEL."
                    ) from None
            except _Again as busy:
                failed += 1
                self._pause(failed, busy)
            except _Unusable as unusable:
                failed += 1
                self._prepare(unusable, failed)

    def _messages(self, mode: Mode) -> list[dict[str, str]]:
        system = self.prompt.system
        if mode != "schema":
            schema = json.dumps(self.answer.model_json_schema(), ensure_ascii=False)
            system += f"\n\nAnswer with one JSON object that fits this JSON schema, and nothing else:\n{schema}"
        return [{"role": "system", "content": system}, {"role": "user", "content": self.prompt.user}, *self._repair]

    def _parse(self, text: str) -> M:
        content = json_in(text)
        try:
            return self.answer.model_validate_json(content)
        except ValidationError as error:
            issues = "; ".join(
                f"{'.'.join(str(part) for part in issue['loc']) or 'the whole'}: {issue['msg']}"
                for issue in error.errors(include_input=False, include_url=False)[:10]
            )
            raise _Unusable(f"the answer does not fit its schema: {issues}", text) from None

    def _prepare(self, unusable: _Unusable, failed: int) -> None:
        """Make the next request another one than the last; raise if there is none."""
        if unusable.cut_off:
            most = self.client.settings.quire_llm_output_tokens * _MOST_ROOM
            if self._room >= most:
                raise LlmFailed(
                    "The model's answers were cut off. Raise QUIRE_LLM_OUTPUT_TOKENS, or ask for fewer items."
                )
            self._room = min(2 * self._room, most)
        elif unusable.text and self._repairs < _REPAIRS:
            self._repairs += 1
            self._repair = [
                {"role": "assistant", "content": unusable.text},
                {"role": "user", "content": f"That cannot be used: {unusable.why}. Answer again, with all of it."},
            ]
        else:
            self._repair = []
            # An endpoint that passes over the schema without a word: spelt out in the prompt it is harder to miss.
            self.client.simplify(self.client.mode)
        self._pause(failed, _Again(unusable.why), unusable)

    def _pause(self, failed: int, busy: _Again, unusable: _Unusable | None = None) -> None:
        """Wait until the next attempt; raise if there is none."""
        pause = random.uniform(0.5, 1.0) * min(_FIRST_PAUSE_SECONDS * 2 ** (failed - 1), _LONGEST_PAUSE_SECONDS)
        pause = max(pause, busy.wait or 0.0) if unusable is None else pause / 4
        over = failed >= self._attempts or time.monotonic() + pause > self._ends_at or self.client.stopping.is_set()
        if not over and (busy.wait or 0.0) <= _LONGEST_WAIT_SECONDS and not self.client.stopping.wait(pause):
            return
        if unusable is not None:
            # Not the reason itself: it may name what the document says.
            raise LlmFailed("The model's answers could not be used. Try again, or set OPENAI_MODEL to another one.")
        raise LlmUnreachable(f"The language model could not be reached: {busy.why}. Try again later.", busy.wait or 0.0)


def json_in(text: str) -> str:
    """The JSON object in an answer, which some models put between other words."""
    bare = _THOUGHTS.sub("", text)
    fenced = _FENCE.match(bare)
    if fenced:
        bare = fenced[1]
    start, end = bare.find("{"), bare.rfind("}")
    return bare[start : end + 1] if 0 <= start < end else bare


def _response_format(mode: Mode, answer: type[BaseModel]) -> dict[str, Any]:
    if mode == "plain":
        return {}
    if mode == "json":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": answer.__name__, "strict": True, "schema": answer.model_json_schema()}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _from_status(error: openai.APIStatusError, mode: Mode) -> Exception:
    """What a refused request means. The endpoint's own words decide, and go nowhere: they may quote the request."""
    status, said = error.status_code, f"{error.code or ''} {error.message}"
    typed: Exception | None = None
    if status in (401, 403) or (status == 402) or (status == 429 and "insufficient_quota" in said):
        typed = LlmKeyRejected(
            "The language model's endpoint does not accept the key, or its account is used up. Check OPENAI_API_KEY."
        )
    elif status in (408, 409, 425, 429) or status >= 500:
        typed = _Again("it is too busy" if status == 429 else f"it answered with status {status}", _retry_after(error))
    elif status == 404:
        typed = LlmUnavailable("The endpoint has no such model. Check OPENAI_MODEL and OPENAI_BASE_URL.")
    elif status == 413 or _OVERFLOW.search(said):
        typed = LlmContextOverflow(
            "A request was longer than the model's context. Set QUIRE_LLM_CONTEXT_TOKENS to the size of it."
        )
    elif _FILTER.search(said):
        typed = _refused()
    elif mode in _SIMPLER:
        typed = _Simpler()
    return typed or LlmFailed(
        f"The endpoint refused the request with status {status}. Check OPENAI_MODEL and OPENAI_BASE_URL."
    )


def _refused() -> LlmRefused:
    return LlmRefused("The language model refuses to work on the text of this document.")


def _retry_after(error: openai.APIStatusError) -> float | None:
    """The seconds that an endpoint asks for, or None."""
    milliseconds = error.response.headers.get("retry-after-ms", "")
    if milliseconds.isdigit():
        return int(milliseconds) / 1000
    value = error.response.headers.get("retry-after", "")
    try:
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
