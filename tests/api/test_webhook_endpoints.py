"""Webhook endpoints over HTTP."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest

from quire.cli.samples import sample_photo
from tests.integration.page_flow_bench import Bench

WEBHOOKS = "/api/v1/webhooks"
# An address that is public. There is no worker here, so nothing is sent to it.
PUBLIC = "https://93.184.215.14/hook"


def test_an_endpoint_is_made_listed_and_deleted(client: httpx.Client):
    owner = uuid4().hex
    made = client.post(WEBHOOKS, json={"url": PUBLIC, "events": ["document.failed"], "owner": owner})
    assert made.status_code == 201, made.text
    endpoint = made.json()
    assert endpoint["secret"].startswith("whsec_")
    listed = next(each for each in client.get(WEBHOOKS).json()["items"] if each["id"] == endpoint["id"])
    assert listed["secret"] is None
    assert listed["events"] == ["document.failed"]
    assert client.delete(f"{WEBHOOKS}/{endpoint['id']}").status_code == 204
    gone = client.delete(f"{WEBHOOKS}/{endpoint['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "webhook_not_found")


@pytest.mark.parametrize("url", ["http://127.0.0.1/hook", "http://10.0.0.1/", "https://a:b@93.184.215.14/"])
def test_an_endpoint_in_this_network_is_refused(client: httpx.Client, url: str):
    refused = client.post(WEBHOOKS, json={"url": url})
    assert (refused.status_code, refused.json()["code"]) == (422, "address_not_allowed")


def test_messages_are_listed_and_sent_again(client: httpx.Client, replicas_bench: Bench):
    owner = uuid4().hex
    endpoint = client.post(WEBHOOKS, json={"url": PUBLIC, "owner": owner}).json()
    files = {"file": ("photo.jpg", sample_photo())}
    document = client.post("/api/v1/documents", files=files, data={"owner": owner}).json()
    replicas_bench.flow.work(UUID(document["id"]))
    (message,) = client.get(f"{WEBHOOKS}/{endpoint['id']}/deliveries").json()["items"]
    assert (message["event"], message["document_id"]) == ("document.completed", document["id"])
    assert (message["status"], message["attempts"]) == ("pending", 0)
    again = client.post(f"{WEBHOOKS}/deliveries/{message['id']}/redeliver")
    assert (again.status_code, again.json()["id"]) == (202, message["id"])
    assert client.post(f"{WEBHOOKS}/deliveries/{uuid4()}/redeliver").status_code == 404
    assert client.get(f"{WEBHOOKS}/{uuid4()}/deliveries").status_code == 404
