"""The model's client against a server that answers in every way that servers do."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from quire import errors
from quire.settings import Settings
from study import bounded_answer
from study import client as study_client
from study.answers import AnswerModel
from study.client import LlmClient, Prompt, Tokens, json_in
from tests.llm_server import KEY, Asked, Fault, LlmServer, llm_server


class Colour(AnswerModel):
    name: str
    shade: int


PROMPT = Prompt("Say which colour it is.", "The secret word of the document is xylophone.")
GOOD: dict[str, Any] = {"name": "red", "shade": 3}


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as running:
        running.answer = lambda _: GOOD
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_client, "_FIRST_PAUSE_SECONDS", 0.02)


def make_client(server: LlmServer, noted: list[Tokens] | None = None, **more: Any) -> LlmClient:
    settings = Settings(openai_api_key=SecretStr(KEY), openai_base_url=server.url, openai_model="m", **more)
    used: list[Tokens] = [] if noted is None else noted
    return LlmClient(settings, note=used.append)


def ask(server: LlmServer, **more: Any) -> Colour:
    return make_client(server, **more).ask(PROMPT, Colour)


def test_an_answer_is_asked_for_by_a_strict_schema(server: LlmServer):
    noted: list[Tokens] = []
    assert make_client(server, noted).ask(PROMPT, Colour) == Colour(name="red", shade=3)
    (asked,) = server.asked
    schema = asked.body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["additionalProperties"] is False
    assert schema["schema"]["required"] == ["name", "shade"]
    assert asked.authorization == f"Bearer {KEY}"
    assert noted == [Tokens(1, 100, 10)]


def test_without_a_key_the_remedy_is_said():
    with pytest.raises(errors.LlmUnavailable, match="OPENAI_API_KEY"):
        LlmClient(Settings(openai_api_key=None))


def test_a_server_without_schemas_is_asked_for_json_then_for_text(server: LlmServer):
    def picky(asked: Asked) -> dict[str, Any] | Fault:
        unknown = {"message": "response_format is not supported", "type": "invalid_request_error"}
        return Fault(400, error=unknown) if asked.mode != "plain" else GOOD

    server.answer = picky
    client = make_client(server)
    assert client.ask(PROMPT, Colour).name == "red"
    assert [asked.mode for asked in server.asked] == ["json_schema", "json_object", "plain"]
    assert '"shade"' in server.asked[-1].system
    # It is remembered.
    client.ask(PROMPT, Colour)
    assert server.asked[-1].mode == "plain"
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "text",
    [
        'Here you are:\n```json\n{"name": "red", "shade": 3}\n```',
        '```\n{"name": "red", "shade": 3}\n```',
        '<think>{"name": "blue"}</think>{"name": "red", "shade": "3", "more": 1}',
    ],
)
def test_json_is_found_between_other_words(server: LlmServer, text: str):
    server.faults = [Fault(content=text)]
    assert ask(server) == Colour(name="red", shade=3)
    assert len(server.asked) == 1


@pytest.mark.parametrize("text", ["no braces", "} {", ""])
def test_what_has_no_json_stays_as_it_is(text: str):
    assert json_in(text) == text


def test_an_answer_that_does_not_fit_is_repaired(server: LlmServer):
    server.faults = [Fault(content='{"name": "red", "shade": "dark"}')]
    assert ask(server).shade == 3
    repair = server.asked[1].body["messages"][2:]
    assert repair[0] == {"role": "assistant", "content": '{"name": "red", "shade": "dark"}'}
    assert "shade" in repair[1]["content"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, error={"message": "oops"}),
        Fault(503, raw=b"<html>"),
        Fault(429, error={"message": "slow down"}),
        Fault(raw=b"not json at all"),
        Fault(raw=b"[]"),
        Fault(raw=b'{"choices": []}'),
        Fault(raw=b'{"choices": [{}]}'),
        Fault(content=None),
        Fault(content="\x00"),
        Fault(drop=True, content="x" * 2000),
        Fault(drop=True, content="x" * 200, drip=0.0),
        Fault(content='{"name": "re', finish_reason="length"),
    ],
    ids=lambda fault: f"{fault.status}-{(fault.raw or b'')[:12]!r}-{fault.finish_reason}-{fault.drop}-{fault.drip}",
)
def test_what_may_be_better_next_time_is_tried_again(server: LlmServer, fault: Fault):
    server.faults = [fault]
    assert ask(server).name == "red"
    assert len(server.asked) == 2


def test_a_slow_server_is_not_waited_for(server: LlmServer):
    server.faults = [Fault(seconds=3)]
    begun_at = time.monotonic()
    assert ask(server, quire_llm_timeout_seconds=0.3).name == "red"
    assert time.monotonic() - begun_at < 2


def test_an_answer_may_come_in_pieces_but_not_for_ever(server: LlmServer):
    good = json.dumps(GOOD)
    server.faults = [Fault(content=good, drip=0.001)]
    assert ask(server).name == "red"
    assert len(server.asked) == 1
    # Each piece comes in time, all of them together do not.
    server.faults = [Fault(content=good, drip=0.3)]
    begun_at = time.monotonic()
    assert ask(server, quire_llm_timeout_seconds=0.5).name == "red"
    assert time.monotonic() - begun_at < 4
    assert len(server.asked) == 3


def test_an_answer_has_a_largest_size(server: LlmServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded_answer, "MOST_BYTES", 2000)
    server.faults = [Fault(content="x" * 3000)]
    assert ask(server).name == "red"
    assert len(server.asked) == 2


def test_a_pause_that_is_asked_for_is_kept(server: LlmServer):
    server.faults = [Fault(429, headers={"Retry-After": "1"}, error={"message": "slow down"})]
    begun_at = time.monotonic()
    ask(server)
    assert time.monotonic() - begun_at >= 1


def test_a_long_pause_is_left_to_somebody_else(server: LlmServer):
    server.faults = [Fault(429, headers={"Retry-After": "900"}, error={"message": "slow down"})]
    with pytest.raises(errors.LlmUnreachable) as caught:
        ask(server)
    assert caught.value.wait == 900
    assert len(server.asked) == 1


def test_there_is_an_end_to_trying(server: LlmServer):
    server.faults = [Fault(500, error={"message": "oops"})] * 10
    with pytest.raises(errors.LlmUnreachable):
        ask(server, quire_llm_attempts=3)
    assert len(server.asked) == 3


def test_a_server_that_is_not_there_is_unreachable():
    settings = Settings(openai_api_key=SecretStr(KEY), openai_base_url="http://127.0.0.1:9/v1", quire_llm_attempts=2)
    with pytest.raises(errors.LlmUnreachable):
        LlmClient(settings).ask(PROMPT, Colour)


def test_an_answer_that_is_cut_off_gets_more_room_up_to_a_limit(server: LlmServer):
    server.answer = lambda _: Fault(content='{"name": "re', finish_reason="length")
    with pytest.raises(errors.LlmFailed, match="cut off"):
        ask(server, quire_llm_output_tokens=300)
    assert [asked.body["max_tokens"] for asked in server.asked] == [300, 600, 1200]


def test_an_answer_that_never_fits_fails(server: LlmServer):
    server.answer = lambda _: Fault(content="I would rather not, xylophone.")
    with pytest.raises(errors.LlmFailed) as caught:
        ask(server)
    assert "xylophone" not in str(caught.value)
    # The schema is spelt out for a server that passed over it.
    assert server.asked[-1].mode != "json_schema"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(401, error={"message": f"Incorrect API key: {KEY}"}), errors.LlmKeyRejected),
        (Fault(403, error={"message": "no"}), errors.LlmKeyRejected),
        (Fault(429, error={"message": "no", "code": "insufficient_quota"}), errors.LlmKeyRejected),
        (Fault(404, error={"message": "no such model"}), errors.LlmUnavailable),
        (Fault(400, error={"message": "x", "code": "context_length_exceeded"}), errors.LlmContextOverflow),
        (Fault(400, error={"message": "the prompt exceeds the context size (4096)"}), errors.LlmContextOverflow),
        (Fault(413, error={"message": "large"}), errors.LlmContextOverflow),
        (Fault(400, error={"message": "x", "code": "content_filter"}), errors.LlmRefused),
        (Fault(content=None, refusal="I cannot help with xylophone"), errors.LlmRefused),
        (Fault(content="", finish_reason="content_filter"), errors.LlmRefused),
    ],
    ids=lambda each: getattr(each, "__name__", None) or str(each.status),
)
def test_what_will_not_be_better_is_an_error_of_its_own(
    server: LlmServer, fault: Fault, error: type[Exception], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    server.faults = [fault]
    with pytest.raises(error) as caught:
        ask(server)
    assert len(server.asked) == 1
    for secret in ("xylophone", KEY):
        assert secret not in str(caught.value)
        assert secret not in caplog.text


def test_a_request_that_is_refused_whatever_its_form_fails(server: LlmServer):
    server.answer = lambda _: Fault(400, error={"message": "bad"})
    with pytest.raises(errors.LlmFailed):
        ask(server)
    assert len(server.asked) == 3


def test_neither_document_nor_key_is_logged(server: LlmServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    server.faults = [Fault(500, error={"message": "xylophone"}), Fault(content="xylophone")]
    ask(server)
    assert "xylophone" not in caplog.text
    assert KEY not in caplog.text


def test_equal_requests_have_equal_digests():
    assert PROMPT.digest("m", Colour) == Prompt(PROMPT.system, PROMPT.user).digest("m", Colour)
    assert PROMPT.digest("m", Colour) != PROMPT.digest("n", Colour)
    assert PROMPT.digest("m", Colour) != Prompt(PROMPT.system, PROMPT.user + "\ud800").digest("m", Colour)
    assert json.loads(json_in('x {"a": 1} y')) == {"a": 1}
