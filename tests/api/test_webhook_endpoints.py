"""Webhook endpoints over HTTP."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine

from quire.cli.samples import sample_photo
from quire.database import documents, webhooks
from quire.database.engine import transaction
from quire.errors import Corrupt
from tests.api.conftest import make_key
from tests.integration.page_flow_bench import Bench

WEBHOOKS = "/api/v1/webhooks"
# An address that is public. There is no worker here, so nothing is sent to it.
PUBLIC = "https://93.184.215.14/hook"


def end_document(client: httpx.Client, database: Engine, headers: dict[str, str]) -> None:
    """Upload a document that fails."""
    document = client.post("/api/v1/documents", files={"file": ("a.pdf", b"%PDF-")}, headers=headers).json()
    with transaction(database) as session:
        assert documents.fail(session, UUID(document["id"]), Corrupt("damaged"))


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


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/hook", "http://10.0.0.1/", "https://a:b@93.184.215.14/", PUBLIC + "\n", PUBLIC + "\0"]
)
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


def test_lists_are_given_in_parts(guarded: httpx.Client, replicas_database: Engine):
    _, ada = make_key(replicas_database, uuid4().hex)
    for _ in range(3):
        endpoint = guarded.post(WEBHOOKS, json={"url": PUBLIC}, headers=ada).json()
    for _ in range(3):
        end_document(guarded, replicas_database, ada)
    for url in (WEBHOOKS, f"{WEBHOOKS}/{endpoint['id']}/deliveries"):
        first = guarded.get(url, params={"limit": 2}, headers=ada).json()
        rest = guarded.get(url, params={"limit": 2, "cursor": first["next_cursor"]}, headers=ada).json()
        assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
        assert len({each["id"] for each in first["items"] + rest["items"]}) == 3


def test_an_owner_has_so_many_endpoints(client: httpx.Client):
    owner = uuid4().hex
    for _ in range(webhooks.MOST_ENDPOINTS):
        assert client.post(WEBHOOKS, json={"url": PUBLIC, "owner": owner}).status_code == 201
    refused = client.post(WEBHOOKS, json={"url": PUBLIC, "owner": owner})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_payload")
    assert client.post(WEBHOOKS, json={"url": PUBLIC, "owner": uuid4().hex}).status_code == 201


def test_endpoints_and_messages_of_others_do_not_exist(guarded: httpx.Client, replicas_database: Engine):
    _, ada = make_key(replicas_database, uuid4().hex)
    _, bob = make_key(replicas_database, uuid4().hex)
    _, admin = make_key(replicas_database, "root", "admin")
    endpoint = guarded.post(WEBHOOKS, json={"url": PUBLIC}, headers=ada).json()
    end_document(guarded, replicas_database, ada)
    url = f"{WEBHOOKS}/{endpoint['id']}"
    (message,) = guarded.get(f"{url}/deliveries", headers=ada).json()["items"]
    for method, asked in (
        ("GET", f"{url}/deliveries"),
        ("DELETE", url),
        ("POST", f"{WEBHOOKS}/deliveries/{message['id']}/redeliver"),
    ):
        assert guarded.request(method, asked, headers=bob).status_code == 404
    assert guarded.get(WEBHOOKS, headers=bob).json()["items"] == []
    assert endpoint["id"] in guarded.get(WEBHOOKS, params={"limit": 200}, headers=admin).text
    refused = guarded.post(WEBHOOKS, json={"url": PUBLIC, "owner": endpoint["owner"]}, headers=bob)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    _, reader = make_key(replicas_database, "ada", "documents:read")
    assert guarded.get(WEBHOOKS, headers=reader).status_code == 403
