"""The client of a serverless endpoint: what it retries, what it does not, and what it never says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from quire.burst.runpod_endpoint import Health, RunpodEndpoint
from quire.errors import QuireError, RunpodKeyRejected, RunpodRefused, RunpodUncertain, RunpodUnreachable, SettingsError
from quire.settings import Settings
from tests.burst.fake_endpoint import KEY, FakeEndpoint, Fault, serving

JOB = {"task": "tasks.ocr_pdf_document", "payload": {"document_id": "7"}}


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with serving(FakeEndpoint(lambda _input, _id: {"status": "ok", "result": {}})) as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(endpoint: FakeEndpoint, pauses: list[float]) -> Iterator[RunpodEndpoint]:
    with RunpodEndpoint(endpoint.url, SecretStr(KEY), pause=pauses.append) as made:
        yield made


def run(client: RunpodEndpoint) -> str:
    return client.run(JOB, execution_seconds=600, ttl_seconds=900.5)


def faults(endpoint: FakeEndpoint, *some: Fault) -> None:
    """The next requests meet these, those after them none."""
    left = list(some)
    endpoint.fault = lambda _: left.pop(0) if left else None


def test_a_job_is_sent_with_its_policy_asked_for_and_cancelled(endpoint, client):
    job_id = run(client)
    made = endpoint.jobs[job_id]
    assert (made.input, made.policy) == (JOB, {"executionTimeout": 600_000, "ttl": 900_500})
    assert client.status(job_id).status == "IN_QUEUE"
    assert client.health() == Health(jobs_in_queue=1, jobs_in_progress=0, workers=1)
    endpoint.work()
    status = client.status(job_id)
    assert (status.status, status.output["status"], status.execution_seconds) == ("COMPLETED", "ok", 10)
    second = run(client)
    assert client.cancel(second)
    assert client.status(second).status == "CANCELLED"
    assert endpoint.keys == {f"Bearer {KEY}"}


def test_a_job_that_is_not_there_any_more_is_none(client):
    assert client.status("job-x") is None
    assert client.cancel("job-x") is False


@pytest.mark.parametrize("fault", ["500", "503", "429"])
def test_what_was_not_done_is_asked_again_after_pauses_that_grow(endpoint, client, pauses, fault):
    faults(endpoint, fault, fault, fault)
    run(client)
    assert len(endpoint.jobs) == 1
    assert len(pauses) == 3
    if fault == "429":
        assert min(pauses) >= 1, "Retry-After"
    else:
        assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1 <= pauses[2] <= 2


def test_an_endpoint_that_stays_away_is_unreachable(endpoint, client):
    faults(endpoint, "500", "500", "500", "500")
    with pytest.raises(RunpodUnreachable, match="HTTP status 500") as caught:
        run(client)
    assert caught.value.retryable
    assert not endpoint.jobs


@pytest.mark.parametrize("fault", ["lost done", "502 done"])
def test_a_job_whose_answer_is_lost_is_not_sent_again(endpoint, client, fault):
    faults(endpoint, fault)
    with pytest.raises(RunpodUncertain):
        run(client)
    assert len(endpoint.jobs) == 1
    assert endpoint.requests == ["POST run"]


@pytest.mark.parametrize("fault", ["lost done", "502 done", "lost"])
def test_whatever_happens_to_a_question_it_is_asked_again(endpoint, client, fault):
    job_id = run(client)
    faults(endpoint, fault, fault)
    assert client.status(job_id).status == "IN_QUEUE"
    faults(endpoint, fault, fault)
    assert client.cancel(job_id)


def test_a_job_that_nobody_answers_for_in_time_is_uncertain(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client._http._client.base_url = httpx.URL(f"http://127.0.0.1:{silent.getsockname()[1]}/v2/ep1")
        client._http._client.timeout = httpx.Timeout(0.2)
        with pytest.raises(RunpodUncertain, match="ReadTimeout"):
            run(client)


def test_a_job_that_was_never_sent_is_sent_again(client, pauses):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client._http._client.base_url = httpx.URL(f"http://127.0.0.1:{port}/v2/ep1")
    with pytest.raises(RunpodUnreachable, match="ConnectError"):
        run(client)
    assert len(pauses) == 3


def test_a_key_that_is_not_taken_is_an_error_of_its_own_and_is_in_no_message(endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    with RunpodEndpoint(endpoint.url, SecretStr("a-secret-of-mine")) as client:
        with pytest.raises(RunpodKeyRejected) as caught:
            client.health()
        assert "a-secret-of-mine" not in repr(client) + repr(vars(client)) + str(caught.value)
    assert "a-secret-of-mine" not in caplog.text


def test_what_will_never_be_done_is_not_asked_again(endpoint, client, pauses, monkeypatch):
    monkeypatch.setattr(endpoint, "answer", lambda *_: (402, {"error": f"no credit for {KEY}"}))
    with pytest.raises(RunpodRefused, match="402") as caught:
        run(client)
    assert KEY not in str(caught.value)
    assert not pauses


def test_an_answer_that_is_none_is_no_status_no_count_and_no_job(endpoint, client, monkeypatch):
    monkeypatch.setattr(endpoint, "answer", lambda *_: (200, ["what"]))
    for ask in (lambda: client.status("job-1"), client.health):
        with pytest.raises(RunpodUnreachable):
            ask()
    with pytest.raises(RunpodUncertain):
        run(client)


def test_a_missing_variable_is_named():
    with pytest.raises(SettingsError, match="RUNPOD_ENDPOINT_ID"):
        RunpodEndpoint.from_settings(Settings(runpod_api_key=KEY))


def test_the_endpoint_of_the_settings_is_asked(endpoint):
    base = endpoint.url.removesuffix("/ep1")
    settings = Settings(runpod_api_key=KEY, runpod_endpoint_id="ep1", runpod_endpoint_base_url=base)
    with RunpodEndpoint.from_settings(settings) as client:
        assert client.health().workers == 1


def test_every_error_is_one_of_quires():
    for error in (RunpodKeyRejected, RunpodRefused, RunpodUncertain, RunpodUnreachable):
        assert issubclass(error, QuireError)
        assert error.code.startswith("runpod_")
