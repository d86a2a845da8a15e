"""Documents over HTTP, against two replicas on one database."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import Engine

from quire.cli.samples import sample_pdf, sample_photo
from quire.errors import Corrupt
from tests.api.conftest import make_key
from tests.engines import InstantEngine
from tests.integration.page_flow_bench import BUCKET, Bench

DOCUMENTS = "/api/v1/documents"


def upload(client: httpx.Client, content: bytes | None = None, name: str = "photo.jpg", **more: Any) -> httpx.Response:
    return client.post(DOCUMENTS, files={"file": (name, content or sample_photo())}, **more)


def read(bench: Bench, document: dict[str, Any]) -> None:
    bench.flow.work(UUID(document["id"]))


def frames(count: int) -> bytes:
    content = io.BytesIO()
    pages = [Image.new("L", (40 + number, 30), number) for number in range(count)]
    pages[0].save(content, "TIFF", save_all=True, append_images=pages[1:])
    return content.getvalue()


def test_an_upload_is_accepted_and_looked_at(client: httpx.Client, other_client: httpx.Client):
    answer = upload(client, data={"priority": "bulk", "lang_hints": ["de", "fr"], "dpi": "200"})
    assert answer.status_code == 202, answer.text
    document = answer.json()
    assert document["status"] == "queued"
    assert (document["filename"], document["media_type"], document["priority"]) == ("photo.jpg", "image/jpeg", "bulk")
    assert document["options"]["lang_hints"] == ["de", "fr"]
    assert document["queue_position"] is not None
    assert other_client.get(f"{DOCUMENTS}/{document['id']}").json()["sha256"] == document["sha256"]


def test_pages_are_listed_and_looked_at(client: httpx.Client, replicas_bench: Bench):
    document = upload(client, frames(5), "fax.tiff").json()
    read(replicas_bench, document)
    url = f"{DOCUMENTS}/{document['id']}"
    assert client.get(url).json()["status"] == "completed"
    first = client.get(f"{url}/pages", params={"limit": 3}).json()
    assert [page["page_number"] for page in first["items"]] == [1, 2, 3]
    assert first["items"][0]["text"] == "40 x 30"
    assert first["items"][0]["detections"][0]["page_number"] == 1
    rest = client.get(f"{url}/pages", params={"cursor": first["next_cursor"], "text_only": True}).json()
    assert [page["page_number"] for page in rest["items"]] == [4, 5]
    assert rest["next_cursor"] is None
    assert rest["items"][0]["detections"] is None
    assert client.get(f"{url}/pages/5").json()["text"] == "44 x 30"
    missing = client.get(f"{url}/pages/6")
    assert (missing.status_code, missing.json()["code"]) == (422, "page_out_of_range")


def test_a_list_is_paged_and_filtered(client: httpx.Client):
    name = uuid4().hex
    made = [upload(client, name=f"{name}-{number}.jpg").json()["id"] for number in range(5)]
    asked = {"filename": name.upper(), "limit": "2"}
    seen: list[str] = []
    while True:
        page = client.get(DOCUMENTS, params=asked).json()
        seen += [document["id"] for document in page["items"]]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    assert client.get(DOCUMENTS, params={"filename": name, "status": "failed"}).json()["items"] == []
    created = datetime.fromisoformat(client.get(f"{DOCUMENTS}/{made[2]}").json()["created_at"])
    for time in (created, created.replace(tzinfo=None), created.astimezone(timezone(timedelta(hours=9)))):
        for side, expected in (("created_after", made[:2:-1]), ("created_before", made[1::-1])):
            found = client.get(DOCUMENTS, params={"filename": name, side: str(time)}).json()["items"]
            assert [each["id"] for each in found] == expected
    # Not what a pattern would find.
    assert client.get(DOCUMENTS, params={"filename": name.replace(name[0], "_", 1)}).json()["items"] == []
    refused = client.get(DOCUMENTS, params={"cursor": "nonsense"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_payload")


def test_the_same_request_sent_again_makes_no_second_document(client: httpx.Client, other_client: httpx.Client):
    headers = {"Idempotency-Key": uuid4().hex}
    with ThreadPoolExecutor(8) as senders:
        clients = [client, other_client] * 4
        answers = list(senders.map(lambda each: upload(each, headers=headers), clients))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    for other in (
        upload(client, sample_pdf(), headers=headers),
        upload(client, data={"dpi": "300"}, headers=headers),
    ):
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_document_is_cancelled_once(client: httpx.Client):
    url = f"{DOCUMENTS}/{upload(client).json()['id']}"
    assert client.post(f"{url}/cancel").json()["status"] == "cancelled"
    again = client.post(f"{url}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")


def test_only_what_failed_is_read_again(client: httpx.Client, replicas_bench: Bench):
    def fail_always(image: Any) -> None:
        if image.number == 2:
            raise Corrupt("Page 2 is damaged.")

    document = upload(client, frames(3), "fax.tiff").json()
    url = f"{DOCUMENTS}/{document['id']}"
    replicas_bench.with_engine(InstantEngine(fail_always)).work(UUID(document["id"]))
    assert client.get(url).json()["status"] == "partial"
    page = client.get(f"{url}/pages/2").json()
    assert (page["status"], page["error"]["code"]) == ("failed", "corrupt")
    assert client.post(f"{url}/retry").status_code == 202
    read(replicas_bench, document)
    assert client.get(url).json()["status"] == "completed"
    again = client.post(f"{url}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_failed")


def test_a_deleted_document_leaves_nothing_but_the_reason(client: httpx.Client, replicas_bench: Bench):
    document = upload(client).json()
    read(replicas_bench, document)
    url = f"{DOCUMENTS}/{document['id']}"
    assert client.get(f"{url}/pages/1/image", params={"width": 300}).status_code == 200
    objects = replicas_bench.store.root / "quire"
    assert list(objects.rglob(f"*{document['id']}*"))
    assert client.delete(url).status_code == 204
    assert list(objects.rglob(f"*{document['id']}*")) == []
    gone = client.get(url)
    assert (gone.status_code, gone.json()["code"]) == (404, "document_not_found")
    assert "was deleted" in gone.json()["detail"]
    assert client.delete(url).status_code == 404


def test_an_object_of_the_store_is_read_where_it_is(client: httpx.Client, replicas_bench: Bench):
    key = replicas_bench.put(f"{uuid4().hex}/photo.jpg", sample_photo())
    document = client.post(f"{DOCUMENTS}/import", json={"key": key, "bucket": BUCKET}).json()
    assert (document["key"], document["filename"]) == (key, "photo.jpg")
    read(replicas_bench, document)
    assert client.delete(f"{DOCUMENTS}/{document['id']}").status_code == 204
    assert replicas_bench.store.head(BUCKET, key).size > 0, "it is the caller's"


def test_an_import_that_was_accepted_is_so_when_its_object_is_gone(client: httpx.Client, replicas_bench: Bench):
    key = replicas_bench.put(f"{uuid4().hex}/photo.jpg", sample_photo())
    headers, asked = {"Idempotency-Key": uuid4().hex}, {"key": key, "bucket": BUCKET}
    first = client.post(f"{DOCUMENTS}/import", json=asked, headers=headers)
    replicas_bench.store.delete(BUCKET, key)
    again = client.post(f"{DOCUMENTS}/import", json=asked, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = client.post(f"{DOCUMENTS}/import", json=asked | {"dpi": 300}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"key": "not/there", "bucket": BUCKET}, 404, "object_not_found"),
        ({"key": "a", "bucket": "foreign"}, 403, "bucket_not_allowed"),
        ({"url": "http://127.0.0.1:1/x.pdf"}, 422, "address_not_allowed"),
        ({"url": "http://user:secret@example.com/x.pdf"}, 422, "address_not_allowed"),
        ({"url": "file:///etc/passwd"}, 422, "invalid_request"),
        ({"key": "a", "url": "http://example.com/"}, 422, "invalid_request"),
        ({"key": "a", "colour": "red"}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_imported_is_refused(client: httpx.Client, asked: dict[str, str], status: int, code: str):
    answer = client.post(f"{DOCUMENTS}/import", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        (b"PK\x03\x04 a zip file", "scan.pdf", 415, "unsupported_media_type"),
        (b"", "empty.pdf", 422, "empty"),
    ],
)
def test_a_file_is_what_its_content_says(client: httpx.Client, content: bytes, name: str, status: int, code: str):
    answer = client.post(DOCUMENTS, files={"file": (name, content)})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_is_no_form_is_refused(client: httpx.Client):
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for content, headers in (
        (b"--x\r\nContent-Disposition: form-data; name=file; filename=a.pdf\r\n\r\nbroken off", multipart),
        (b"no boundary at all", multipart),
        (b"", {"Content-Type": "multipart/form-data"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"", {}),
    ):
        answer = client.post(DOCUMENTS, content=content, headers=headers)
        assert answer.status_code in (400, 422), answer.text
        assert answer.json()["code"] in ("bad_request", "invalid_request")


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
def test_only_files_may_be_large(client: httpx.Client, announced: bool, content_type: str):
    body = b'{"key": "' + b"a" * 1024 * 1024 + b'"}'
    sent: Any = body if announced else iter([body[:1000], body[1000:]])
    answer = client.post(f"{DOCUMENTS}/import", content=sent, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("written", ["{}", "./{}", "a/../{}", "//{}", "/{}"])
def test_uploads_and_their_images_of_others_cannot_be_named(
    client: httpx.Client, guarded: httpx.Client, replicas_database: Engine, written: str
):
    document = upload(client, data={"owner": "somebody"}).json()
    _, another = make_key(replicas_database, "another")
    own = f"derived/{document['id']}/page-1-180-own.jpg"
    assert client.get(f"{DOCUMENTS}/{document['id']}/pages/1/image").status_code == 200
    for key in (document["key"], document["key"].replace("uploads/", "uploads//"), own, document["key"].upper()):
        for route in (f"{DOCUMENTS}/import", "/api/v1/submit"):
            answer = guarded.post(route, json={"key": written.format(key)}, headers=another)
            assert (answer.status_code, answer.json()["code"]) == (404, "object_not_found")


def test_a_filename_is_only_what_can_be_shown(client: httpx.Client):
    name = "a\x00b\x1b[31m" + "ü" * 300 + ".pdf"
    shown = upload(client, name=name).json()["filename"]
    assert shown.isprintable()
    assert len(shown) <= 255


def test_the_image_is_the_one_that_boxes_refer_to(client: httpx.Client, replicas_bench: Bench):
    document = upload(client, sample_pdf(), "book.pdf").json()
    read(replicas_bench, document)
    url = f"{DOCUMENTS}/{document['id']}/pages/1"
    page = client.get(url).json()
    answer = client.get(f"{url}/image")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.content)).size == (page["width"], page["height"])
    small = Image.open(io.BytesIO(client.get(f"{url}/image", params={"width": 300}).content))
    assert small.width == 480
    assert small.height == pytest.approx(480 * page["height"] / page["width"], abs=1)
    etag = answer.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"another", {etag}'):
        same = client.get(f"{url}/image", headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert client.get(f"{url}/image", headers={"If-None-Match": '"another"'}).content == answer.content
    assert "immutable" in answer.headers["Cache-Control"]
    missing = client.get(f"{DOCUMENTS}/{document['id']}/pages/99/image")
    assert (missing.status_code, missing.json()["code"]) == (422, "page_out_of_range")


def test_an_image_is_not_kept_for_ever_before_its_page_is_read(client: httpx.Client):
    """It may be read at another resolution."""
    answer = client.get(f"{DOCUMENTS}/{upload(client).json()['id']}/pages/1/image", params={"width": 64})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, no-cache")


def test_a_text_is_found_with_its_box(client: httpx.Client, replicas_bench: Bench):
    document = upload(client, frames(4), "fax.tiff").json()
    read(replicas_bench, document)
    url = f"{DOCUMENTS}/{document['id']}/search"
    found = client.get(url, params={"q": " X  30", "limit": 2}).json()
    assert [(each["page_number"], each["line"], each["text"]) for each in found["items"]] == [
        (1, 0, "40 x 30"),
        (2, 0, "41 x 30"),
    ]
    assert found["items"][0]["box"] == [[0, 0], [9, 0], [9, 9], [0, 9]]
    rest = client.get(url, params={"q": "x 30", "cursor": found["next_cursor"]}).json()
    assert [each["page_number"] for each in rest["items"]] == [3, 4]
    assert rest["next_cursor"] is None
    for nothing in ("nothing of the kind", "  ", "_", "%"):
        assert client.get(url, params={"q": nothing}).json()["items"] == []


def test_a_document_that_is_not_there_is_not_found(client: httpx.Client):
    url = f"{DOCUMENTS}/{uuid4()}"
    asked: list[Callable[[], httpx.Response]] = [
        lambda: client.get(url),
        lambda: client.get(f"{url}/pages"),
        lambda: client.get(f"{url}/pages/1"),
        lambda: client.get(f"{url}/pages/1/image"),
        lambda: client.get(f"{url}/search", params={"q": "x"}),
        lambda: client.post(f"{url}/cancel"),
        lambda: client.post(f"{url}/retry"),
        lambda: client.delete(url),
    ]
    for ask in asked:
        answer = ask()
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
