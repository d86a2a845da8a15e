"""Who may call the API, how often, and what they see."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import Engine, text

from quire import keys
from quire.cli.samples import sample_photo
from quire.database import limits
from quire.database.engine import transaction
from quire.embedded import ChildProcess
from quire.embedded.processes import free_port
from quire.errors import InvalidPayload
from quire.settings import Settings, get_settings
from quire_api.app import create_app
from tests.api.conftest import API, Replicas, make_key, wait_until_ready
from tests.integration.page_flow_bench import Bench

DOCUMENTS = "/api/v1/documents"
# What anybody may ask.
PUBLIC = {"/health", "/livez", "/readyz"}


def upload(client: httpx.Client, headers: dict[str, str], **form: str) -> httpx.Response:
    return client.post(DOCUMENTS, files={"file": ("photo.jpg", sample_photo())}, data=form, headers=headers)


def test_nothing_is_answered_without_a_key_but_whether_the_service_lives(guarded: httpx.Client):
    paths = guarded.get("/openapi.json").json()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method in methods:
            url = path.replace("{number}", "1").replace("{block}", "0").replace("{format}", "txt")
            while "{" in url:
                before, _, rest = url.partition("{")
                url = f"{before}{uuid4()}{rest.partition('}')[2]}"
            answer = guarded.request(method, url)
            if path in PUBLIC:
                assert answer.status_code in (200, 503), path
            else:
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_says_who_one_is(guarded: httpx.Client, replicas_database: Engine):
    _, headers = make_key(replicas_database, "ada")
    expected = {"owner": "ada", "scopes": sorted(keys.USUAL_SCOPES), "auth": True}
    assert guarded.get("/api/v1/me", headers=headers).json() == expected
    other_way = {"X-API-Key": headers["Authorization"].removeprefix("Bearer ")}
    assert guarded.get("/api/v1/me", headers=other_way).json() == expected
    for wrong in ("qk_unknown", "Basic abc", "qk_" + "x" * 5000):
        assert guarded.get("/api/v1/me", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


def test_the_documents_of_others_do_not_exist(guarded: httpx.Client, replicas_database: Engine):
    _, ada = make_key(replicas_database, "ada")
    _, ada_too = make_key(replicas_database, "ada")
    _, bob = make_key(replicas_database, "bob")
    _, admin = make_key(replicas_database, "root", "admin")
    document = upload(guarded, ada).json()
    assert document["owner"] == "ada"
    url = f"{DOCUMENTS}/{document['id']}"
    for headers, status in ((ada, 200), (ada_too, 200), (admin, 200), (bob, 404)):
        assert guarded.get(url, headers=headers).status_code == status
    asked = 0
    for path, methods in guarded.get("/openapi.json").json()["paths"].items():
        its_own = re.sub("{(document|call|task)_id}", document["id"], path)
        if its_own == path:
            continue
        for method in methods:
            whole = its_own.format(number=1, block=0, format="json", artifact_id=document["id"])
            body = {"kind": "summary"} if method == "post" else None
            answer = guarded.request(method, whole, params={"q": "x"}, headers=bob, json=body)
            assert answer.status_code == 404, (method, path)
            asked += 1
    assert asked > 10
    assert guarded.get(url, headers=ada).json()["status"] == "queued"
    assert document["id"] not in guarded.get(DOCUMENTS, headers=bob).text
    assert document["id"] in guarded.get(DOCUMENTS, headers=ada_too).text
    # By its key somebody else's upload cannot be had either.
    stolen = guarded.post(f"{DOCUMENTS}/import", json={"key": document["key"]}, headers=bob)
    assert (stolen.status_code, stolen.json()["code"]) == (404, "object_not_found")


def test_a_key_makes_documents_of_its_own_owner_only(guarded: httpx.Client, replicas_database: Engine):
    _, ada = make_key(replicas_database, "ada")
    refused = upload(guarded, ada, owner="bob")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    refused = guarded.post(
        "/api/v1/ocr/process", files={"file": ("photo.jpg", sample_photo())}, data={"owner": "bob"}, headers=ada
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    _, admin = make_key(replicas_database, "root", "admin")
    assert upload(guarded, admin, owner="bob").json()["owner"] == "bob"


def test_a_key_does_what_its_scopes_say(guarded: httpx.Client, replicas_database: Engine):
    _, reader = make_key(replicas_database, "ada", "documents:read")
    assert guarded.get(DOCUMENTS, headers=reader).status_code == 200
    for refused in (upload(guarded, reader), guarded.get("/metrics", headers=reader)):
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    _, metrics = make_key(replicas_database, "monitor", "metrics")
    assert guarded.get("/metrics", headers=metrics).status_code == 200
    assert guarded.get(DOCUMENTS, headers=metrics).status_code == 403


def test_a_revoked_or_expired_key_is_worthless(guarded: httpx.Client, replicas_database: Engine):
    key_id, headers = make_key(replicas_database, "ada")
    with transaction(replicas_database) as session:
        assert keys.revoke_key(session, key_id)
        assert not keys.revoke_key(session, key_id)
    assert guarded.get("/api/v1/me", headers=headers).status_code == 401
    _, expired = make_key(replicas_database, "ada", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert guarded.get("/api/v1/me", headers=expired).status_code == 401
    # One that was in use works for the seconds that it is remembered, and no longer.
    key_id, used = make_key(replicas_database, "ada")
    assert guarded.get("/api/v1/me", headers=used).status_code == 200
    with transaction(replicas_database) as session:
        keys.revoke_key(session, key_id)
    deadline = time.monotonic() + 8
    while guarded.get("/api/v1/me", headers=used).status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_key_may_ask_so_often_a_minute(guarded: httpx.Client, replicas_database: Engine):
    _, headers = make_key(replicas_database, "ada", requests_per_minute=5)
    answers = [guarded.get("/api/v1/me", headers=headers) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    # The minute may turn in between.
    assert len(refused) in range(2, 8)
    assert refused[0].json()["code"] == "rate_limited"
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60


def test_an_owners_study_aids_may_use_so_many_tokens_a_day(
    guarded: httpx.Client, replicas_database: Engine, replicas_bench: Bench
):
    owner = uuid4().hex
    _, headers = make_key(replicas_database, owner, tokens_per_day=100)
    document = upload(guarded, headers).json()
    replicas_bench.flow.work(UUID(document["id"]))
    aids = f"{DOCUMENTS}/{document['id']}/artifacts"
    made = guarded.post(aids, json={"kind": "summary"}, headers=headers)
    assert made.status_code == 202, made.text
    with transaction(replicas_database) as session:
        limits.add_tokens(session, owner, 100)
    submitted = {"key": "a", "follow_ups": [{"kind": "summary"}]}
    for refused in (
        guarded.post(aids, json={"kind": "quiz"}, headers=headers),
        guarded.post(f"{aids}/{made.json()['id']}/rerun", headers=headers),
        guarded.post("/api/v1/submit", json=submitted, headers=headers),
        guarded.post(f"{DOCUMENTS}/import", json=submitted, headers=headers),
        guarded.post(
            DOCUMENTS, files={"file": ("a.jpg", sample_photo())}, data={"follow_ups": "quiz"}, headers=headers
        ),
    ):
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert "tokens" in refused.json()["detail"]
        assert 1 <= int(refused.headers["Retry-After"]) <= 86400
    # Looking at what is made, and reading, goes on.
    assert guarded.get(aids, headers=headers).status_code == 200
    assert upload(guarded, headers).status_code == 202


def test_an_owner_may_have_so_many_pages_read_a_day(
    guarded: httpx.Client, replicas_database: Engine, replicas_bench: Bench
):
    owner = uuid4().hex
    _, headers = make_key(replicas_database, owner, pages_per_day=1)
    document = upload(guarded, headers).json()
    replicas_bench.flow.work(UUID(document["id"]))
    for refused in (
        upload(guarded, headers),
        guarded.post("/api/v1/submit", json={"key": "a"}, headers=headers),
        guarded.post("/api/v1/ocr/process", files={"file": ("photo.jpg", sample_photo())}, headers=headers),
    ):
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert 1 <= int(refused.headers["Retry-After"]) <= 86400
    # Deleting it does not give the page back.
    assert guarded.delete(f"{DOCUMENTS}/{document['id']}", headers=headers).status_code == 204
    assert upload(guarded, headers).status_code == 429


def test_nothing_of_a_secret_is_kept(guarded: httpx.Client, replicas_database: Engine, replicas: Replicas):
    _, headers = make_key(replicas_database, "ada")
    secret = headers["Authorization"].removeprefix("Bearer ")
    guarded.get("/api/v1/me", headers=headers)
    guarded.get("/api/v1/nothing", headers=headers)
    with transaction(replicas_database) as session:
        rows = session.execute(text("SELECT api_keys::text FROM api_keys")).scalars().all()
    assert any(secret[:9] in row for row in rows)
    assert not any(secret[9:] in row for row in rows)
    assert secret not in (replicas.folder / "guarded.log").read_text()


@pytest.mark.parametrize(
    ("database", "remedy"),
    [("database_url", "quire keys create"), ("empty_database", "python -m quire.database.migrate")],
)
def test_an_api_without_any_key_does_not_start(
    database: str, remedy: str, replicas: Replicas, request: pytest.FixtureRequest
):
    env = replicas.environment | {"QUIRE_AUTH": "required", "DATABASE_URL": request.getfixturevalue(database)}
    run = subprocess.run(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", str(free_port())],
        env=env, cwd=API, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode != 0
    assert remedy in run.stderr
    assert "Traceback" not in run.stderr


def test_an_api_starts_while_postgres_is_away_and_lets_nobody_in(replicas: Replicas):
    away = f"postgresql://quire:quire@127.0.0.1:{free_port()}/quire"
    env = replicas.environment | {"QUIRE_AUTH": "required", "DATABASE_URL": away}
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--no-access-log"]
    with ChildProcess(command, log=replicas.folder / "away.log", env=env, cwd=API) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process, "/livez")
        answer = httpx.get(f"{url}/api/v1/me", headers={"Authorization": "Bearer qk_any"}, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable")
        assert httpx.get(f"{url}/api/v1/me", timeout=30).status_code == 401


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("127.1.2.3", 200), ("[::1]", 200), ("10.0.0.5", 403), ("[fd00::5]", 403)],
)
def test_without_keys_only_this_machine_is_answered(address: str, status: int, monkeypatch: pytest.MonkeyPatch):
    """Whatever address the server was told to listen on, requests say which one they came to."""
    monkeypatch.setenv("QUIRE_AUTH", "off")
    get_settings.cache_clear()
    app = create_app(Settings(database_url="postgresql://unused"))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}:8000") as client:
            return await client.get("/api/v1/me")

    try:
        answer = asyncio.run(ask())
    finally:
        get_settings.cache_clear()
    assert answer.status_code == status
    if status == 403:
        assert "QUIRE_AUTH" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8000"}, 200), ({"Host": "[::1]"}, 200), ({"Origin": "http://localhost:5173"}, 200),
        ({"Host": "quire.example"}, 403), ({"Host": "["}, 403), ({"Host": "127.0.0.1.example"}, 403),
        ({"Origin": "https://quire.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://["}, 403),
    ],
)  # fmt: skip
def test_without_keys_no_page_from_elsewhere_may_use_this_machine(
    client: httpx.Client, headers: dict[str, str], status: int
):
    """A browser on this machine is told by such a page where to send what: a name may lead here, a form may be sent."""
    assert client.get("/api/v1/me", headers=headers).status_code == status
    assert client.post(f"{DOCUMENTS}/{uuid4()}/cancel", headers=headers).status_code == (404 if status == 200 else 403)


def test_a_large_file_without_a_key_is_refused_before_it_is_sent(guarded: httpx.Client):
    address = guarded.base_url.host, guarded.base_url.port or 80
    for length in (b"Content-Length: 50000000", b"Transfer-Encoding: chunked"):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(
                b"POST /api/v1/documents HTTP/1.1\r\nHost: quire\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n" + length + b"\r\n\r\n"
            )
            assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_nothing_but_the_viewer_is_left_out_of_the_documentation():
    """So what is asked of all documented routes is asked of all there are."""
    app = create_app(Settings(database_url="postgresql://unused"))
    viewer = {"/", "/documents", "/documents/{document_id}", "/assets/{name}", "/theme.js", "/favicon.svg"}
    documentation = {"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}
    every = {route.path for route in iter_route_contexts(app.routes)}
    assert every - set(app.openapi()["paths"]) == viewer | documentation


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["documents:burn"]},
        {"scopes": []},
        {"owner": " "},
        {"name": ""},
        {"pages_per_day": 0},
        {"tokens_per_day": 0},
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(database: Engine, wrong: dict[str, Any]):
    with pytest.raises(InvalidPayload), transaction(database) as session:
        keys.create_key(session, **({"name": "a", "owner": "b"} | wrong))
