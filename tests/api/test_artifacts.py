"""Study aids over HTTP: asked for with the upload or later, looked at, exported, made again."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from flow.study_aids import StudyAids
from quire.cli.samples import sample_photo
from quire.contracts import FlashcardsPayload, QuizPayload, SummaryPayload
from quire.settings import Settings
from tests.integration.page_flow_bench import Bench
from tests.llm_server import KEY, LlmServer, card, llm_server

DOCUMENTS = "/api/v1/documents"


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as running:
        yield running


def upload(client: httpx.Client, **form: Any) -> httpx.Response:
    return client.post(DOCUMENTS, files={"file": ("=photo.jpg", sample_photo())}, data=form)


def url_of(document_id: str) -> str:
    return f"{DOCUMENTS}/{document_id}/artifacts"


def aids_of(server: LlmServer, bench: Bench) -> StudyAids:
    settings = Settings(openai_api_key=SecretStr(KEY), openai_base_url=server.url)
    return StudyAids(settings, bench.database, lambda: False)


def text_of(bench: Bench, document_id: str) -> str:
    return str(bench.pages(UUID(document_id))[1].text)


def test_what_is_asked_for_with_an_upload_is_made_when_it_has_been_read(
    client: httpx.Client, other_client: httpx.Client, replicas_bench: Bench, server: LlmServer
):
    quiz = json.dumps({"kind": "quiz", "options": {"count": 3, "kinds": ["true_false"]}})
    accepted = upload(client, follow_ups=["summary", quiz])
    assert accepted.status_code == 202, accepted.text
    document_id = accepted.json()["id"]
    listed = other_client.get(url_of(document_id)).json()
    assert {(each["kind"], each["status"]) for each in listed["items"]} == {("summary", "waiting"), ("quiz", "waiting")}
    assert {each["options"].get("count") for each in listed["items"]} == {None, 3}
    replicas_bench.flow.work(UUID(document_id))
    size = text_of(replicas_bench, document_id)
    point = {"heading": "", "text": "It has a size.", "quotes": [{"page": 1, "quote": size}]}
    server.answer = lambda _: {"points": [point]}
    aids_of(server, replicas_bench).work(SummaryPayload(document_id=UUID(document_id)))
    made = next(each for each in client.get(url_of(document_id)).json()["items"] if each["kind"] == "summary")
    assert (made["status"], made["result"]) == ("completed", None)
    made = client.get(f"{url_of(document_id)}/{made['id']}").json()
    (shown,) = made["result"]["sections"][0]["points"]
    assert shown["citations"][0]["quote"] == size
    assert shown["citations"][0]["boxes"] == [[[0, 0], [9, 0], [9, 9], [0, 9]]]
    assert made["tokens"] == {"requests": 1, "input": 100, "output": 10, "cost": None}
    assert (made["prompt_version"], made["error"]) == ("1", None)


@pytest.mark.parametrize("wrong", ["essay", '{"kind": "quiz", "options": {"count": 0}}', "{", '{"kind": 7}'])
def test_what_cannot_be_made_is_refused_with_the_upload(client: httpx.Client, wrong: str):
    answer = upload(client, follow_ups=[wrong])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_payload")


def test_a_study_aid_is_asked_for_once_and_made_again_on_demand(
    client: httpx.Client, replicas_bench: Bench, server: LlmServer
):
    document_id = upload(client).json()["id"]
    replicas_bench.flow.work(UUID(document_id))
    asked = {"kind": "flashcards", "options": {"count": 2}}
    first = client.post(url_of(document_id), json=asked)
    assert first.status_code == 202, first.text
    artifact = first.json()
    assert artifact["status"] == "queued"
    assert (
        client.post(url_of(document_id), json=asked | {"options": {"count": 2, "difficulty": "mixed"}}).json()["id"]
        == artifact["id"]
    )
    url = f"{url_of(document_id)}/{artifact['id']}"
    for busy in (client.get(f"{url}/export/md"), client.post(f"{url}/rerun")):
        assert (busy.status_code, busy.json()["code"]) == (409, "artifact_busy")
    server.answer = lambda _: {"cards": [card(1, text_of(replicas_bench, document_id))]}
    aids_of(server, replicas_bench).work(FlashcardsPayload(document_id=UUID(document_id), count=2))
    assert client.get(url).json()["status"] == "completed"
    again = client.post(f"{url}/rerun")
    assert (again.status_code, again.json()["status"], again.json()["result"]) == (202, "queued", None)


def test_cards_are_exported(client: httpx.Client, replicas_bench: Bench, server: LlmServer, tmp_path: Path):
    document_id = upload(client).json()["id"]
    replicas_bench.flow.work(UUID(document_id))
    quote = text_of(replicas_bench, document_id)
    wanted = card(1, quote) | {"front": '=HYPERLINK("x")', "back": "<b>*bold*</b>"}
    server.answer = lambda _: {"cards": [wanted]}
    made = aids_of(server, replicas_bench).work(FlashcardsPayload(document_id=UUID(document_id)))
    url = f"{url_of(document_id)}/{made.artifact_id}/export"
    rows = list(csv.reader(io.StringIO(client.get(f"{url}/csv").content.decode("utf-8-sig"))))
    assert rows == [
        ["front", "back", "difficulty", "source"],
        ['\'=HYPERLINK("x")', "<b>*bold*</b>", "easy", f"{quote} (page 1)"],
    ]
    markdown = client.get(f"{url}/md")
    assert markdown.headers["content-disposition"] == "attachment; filename*=UTF-8''%3Dphoto.flashcards.md"
    assert r"\<b\>\*bold\*\</b\>" in markdown.text
    assert client.get(f"{url}/json").json()["cards"][0]["back"] == "<b>*bold*</b>"
    package = zipfile.ZipFile(io.BytesIO(client.get(f"{url}/apkg").content))
    collection = tmp_path / "collection.anki2"
    collection.write_bytes(package.read("collection.anki2"))
    database = sqlite3.connect(collection)
    (fields,) = database.execute("SELECT flds FROM notes").fetchone()
    database.close()
    assert fields.split("\x1f") == [
        "=HYPERLINK(&quot;x&quot;)",
        "&lt;b&gt;*bold*&lt;/b&gt;",
        f"{quote} (page 1)",
    ]


def test_a_quiz_is_exported_as_text_alone(client: httpx.Client, replicas_bench: Bench, server: LlmServer):
    document_id = upload(client).json()["id"]
    replicas_bench.flow.work(UUID(document_id))
    quote = text_of(replicas_bench, document_id)
    options = [{"text": each, "explanation": f"It is {each}."} for each in ("True", "False")]
    server.answer = lambda _: {
        "questions": [
            {
                "kind": "true_false",
                "question": "It is a photo.",
                "options": options,
                "correct_options": ["True"],
                "answer": "",
                "explanation": "",
                "quotes": [{"page": 1, "quote": quote}],
            }
        ]
    }
    made = aids_of(server, replicas_bench).work(QuizPayload(document_id=UUID(document_id), kinds=("true_false",)))
    url = f"{url_of(document_id)}/{made.artifact_id}/export"
    assert "- [x] True: It is True." in client.get(f"{url}/md").text
    refused = client.get(f"{url}/apkg")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_payload")
    assert client.get(f"{url}/docx").status_code == 422


def test_the_list_is_paged_and_unknown_ones_are_not_found(client: httpx.Client):
    document_id = upload(client).json()["id"]
    made = [
        client.post(url_of(document_id), json={"kind": "quiz", "options": {"count": count}}).json()["id"]
        for count in (1, 2, 3)
    ]
    first = client.get(url_of(document_id), params={"limit": 2}).json()
    rest = client.get(url_of(document_id), params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None
    other = upload(client).json()["id"]
    for url in (f"{url_of(document_id)}/{uuid4()}", f"{url_of(other)}/{made[0]}"):
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (404, "artifact_not_found")
    missing = client.post(url_of(str(uuid4())), json={"kind": "quiz"})
    assert (missing.status_code, missing.json()["code"]) == (404, "document_not_found")
