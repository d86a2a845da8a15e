"""The client of RunPod's pods: what it repeats, what it does not, and what it never says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from quire.burst.runpod_pods import ListedPod, Offer, PodSpec, RunpodPods
from quire.errors import (
    QuireError,
    RunpodKeyRejected,
    RunpodNoCapacity,
    RunpodRefused,
    RunpodUncertain,
    RunpodUnreachable,
    SettingsError,
)
from quire.settings import Settings
from quire.telemetry.redaction import Redaction
from tests.burst.fake_runpod import KEY, FakeRunpod, Fault, serving

SECRET = 'a "secret" }], gpuCount: 8, env: [{'
ENDS_AT = 1_800_003_600.0


@pytest.fixture
def runpod() -> Iterator[FakeRunpod]:
    with serving(FakeRunpod()) as server:
        yield server


@pytest.fixture
def client(runpod: FakeRunpod) -> Iterator[RunpodPods]:
    with RunpodPods(runpod.url, SecretStr(KEY), "main", pause=lambda _: None) as made:
        yield made


def spec_of(**settings: Any) -> PodSpec:
    given: dict[str, Any] = {
        "runpod_pod_image": "r.example/q:1",
        "runpod_pod_gpu_types": "GPU-A, GPU-B",
        "runpod_pod_max_price": 0.5,
    }
    return PodSpec.from_settings(Settings(**given | settings))


def create(client: RunpodPods, spec: PodSpec | None = None) -> ListedPod:
    return client.create("quire-burst-main-1", spec or spec_of(), Offer("GPU-A", 0.4), ends_at=ENDS_AT)


def faults(runpod: FakeRunpod, *some: Fault | None) -> None:
    """The next requests meet these, those after them none."""
    left = list(some)
    runpod.fault = lambda _: left.pop(0) if left else None


def test_a_pod_is_rented_listed_and_ended(runpod, client):
    made = create(client)
    (listed,) = client.list_pods()
    assert (listed.id, listed.name, listed.price_per_hour) == (made.id, "quire-burst-main-1", 0.4)
    client.terminate(made.id)
    assert client.list_pods() == []
    client.terminate(made.id)
    assert runpod.keys == {f"Bearer {KEY}"}


def test_what_is_asked_for_is_in_variables(runpod, client):
    """A value that would be more GraphQL, were it put into the text, stays a value."""
    settings = {"runpod_pod_env": '{"A": "a \\"secret\\" }], gpuCount: 8, env: [{"}', "runpod_pod_template": None}
    create(client, spec_of(**settings))
    asked = runpod.requests[-1][1]["input"]
    assert {"key": "A", "value": SECRET} in asked["env"]
    assert (asked["gpuCount"], asked["terminateAfter"]) == (1, "2027-01-15T09:00:00Z")
    assert (asked["imageName"], asked["minCudaVersion"], "templateId" in asked) == ("r.example/q:1", "12.6", False)


@pytest.mark.parametrize("fault", ["500", "500 done", "502 done", "lost", "lost done", "error", "error done", "text"])
def test_to_rent_is_asked_for_once(runpod, client, fault):
    faults(runpod, fault)
    with pytest.raises(RunpodUncertain):
        create(client)
    assert len(runpod.requests) == 1
    assert len(runpod.pods) == fault.endswith("done")


def test_what_was_certainly_not_done_is_asked_for_again(runpod, client):
    faults(runpod, "429", "429")
    create(client)
    assert len(runpod.pods) == 1


@pytest.mark.parametrize("fault", ["500", "502 done", "429", "lost"])
def test_to_list_and_to_end_are_asked_for_again(runpod, client, fault):
    made = create(client)
    faults(runpod, fault, fault)
    assert len(client.list_pods()) == 1
    faults(runpod, fault, fault)
    client.terminate(made.id)
    assert runpod.pods == {}


@pytest.mark.parametrize("fault", ["text", "error", "lost"])
def test_no_list_is_not_an_empty_list(runpod, client, fault):
    faults(runpod, *[fault] * 4)
    with pytest.raises(RunpodUnreachable):
        client.list_pods()
    runpod.answer = lambda *_: {"data": {"myself": None}}
    with pytest.raises(RunpodUnreachable):
        client.list_pods()


def test_what_is_said_has_its_own_errors(runpod, client):
    faults(runpod, "capacity")
    with pytest.raises(RunpodNoCapacity):
        create(client)
    for said, error in (
        ("Unauthorized", RunpodKeyRejected),
        ("Your balance is too low", RunpodRefused),
        ('Variable "$input" … BAD_USER_INPUT', RunpodRefused),
    ):
        runpod.answer = lambda *_, said=said: {"errors": [{"message": said}], "data": None}
        with pytest.raises(error):
            create(client)


def test_the_first_type_that_can_be_had_and_paid_for_is_offered(runpod, client):
    spec = spec_of()
    assert client.offer(spec) == Offer("GPU-A", 0.4)
    for prices, offer in (
        ({"GPU-A": None, "GPU-B": 0.5}, Offer("GPU-B", 0.5)),
        ({"GPU-A": 0.6, "GPU-B": 0.51}, None),
        ({}, None),
    ):
        runpod.prices = prices
        assert client.offer(spec) == offer


def test_pods_that_have_ended_and_those_of_others_are_not_listed(runpod, client):
    runpod.rent("quire-burst-main-1", status="TERMINATED")
    runpod.rent("quire-burst-mainly-1")
    assert client.list_pods() == []


def test_nothing_secret_is_said(runpod, client, caplog):
    caplog.set_level(logging.DEBUG)
    settings: dict[str, Any] = {"runpod_api_key": KEY, "runpod_pod_env": '{"DATABASE_URL": "hunter2-of-the-pod"}'}
    spec = spec_of(**settings)
    runpod.answer = lambda *_: {"errors": [{"message": f"bad {KEY} hunter2-of-the-pod"}], "data": None}
    for ask in (client.list_pods, lambda: create(client, spec), lambda: client.terminate("x")):
        with pytest.raises(QuireError) as caught:
            ask()
        assert KEY not in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert KEY not in caplog.text
    assert "hunter2" not in caplog.text + repr(spec) + repr(client)
    assert "hunter2" not in Redaction(Settings(**settings))("url hunter2-of-the-pod")


def test_a_wrong_key_is_told_apart(runpod):
    with RunpodPods(runpod.url, SecretStr("wrong"), "main") as client, pytest.raises(RunpodKeyRejected):
        client.list_pods()


def test_what_pods_run_has_to_be_said():
    for settings in ({"runpod_pod_image": None}, {"runpod_pod_template": "t"}):
        with pytest.raises(SettingsError):
            spec_of(**settings)


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1, True, "0.4", None])
def test_a_price_that_is_none_is_not_added_up(runpod, client, cost):
    runpod.rent("quire-burst-main-1", cost)
    assert [pod.price_per_hour for pod in client.list_pods()] == [0.0]
    runpod.answer = lambda *_: {"data": {"podFindAndDeployOnDemand": {"id": "p", "costPerHr": cost}}}
    assert create(client).price_per_hour == 0.4
    runpod.answer = lambda *_: {"data": {"gpuTypes": [{"lowestPrice": {"uninterruptablePrice": cost}}]}}
    assert client.offer(spec_of()) is None


def test_an_answer_that_cannot_be_unpacked_is_a_lost_one():
    def reply(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    with RunpodPods("http://runpod.example", SecretStr(KEY), "main", pause=lambda _: None) as client:
        client._http._client._transport = httpx.MockTransport(reply)
        with pytest.raises(RunpodUnreachable):
            client.list_pods()
        with pytest.raises(RunpodUncertain):
            create(client)


def test_a_request_that_ran_out_of_time_at_a_gateway_may_have_been_done(runpod, client):
    runpod.meet = lambda *_: (408, {})
    with pytest.raises(RunpodUncertain):
        create(client)
    with pytest.raises(RunpodUnreachable):
        client.list_pods()
