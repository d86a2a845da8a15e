"""Objects in S3, over HTTP against moto's server."""

from __future__ import annotations

import io
import random
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import boto3
import pytest
from moto.server import ThreadedMotoServer

from quire.errors import ObjectNotFound, StorageAccessDenied, StorageUnreachable, TooLarge
from quire.settings import Settings
from quire.storage import StoredObject, create_store
from quire.storage.s3 import S3Store

BUCKET = "scans"
SECRET = "wrong-secret-key"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def store(endpoint: str) -> S3Store:
    plain_client(endpoint).create_bucket(Bucket=BUCKET)
    return S3Store.from_settings(settings(endpoint))


@pytest.fixture(scope="module")
def nobody(endpoint: str, store: S3Store) -> Iterator[S3Store]:
    """A store with credentials that the server does not know."""
    _check_credentials_after(endpoint, "0")
    yield S3Store.from_settings(settings(endpoint, s3_secret_access_key=SECRET))
    _check_credentials_after(endpoint, "inf")


@pytest.fixture(scope="module")
def unreachable() -> S3Store:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return S3Store.from_settings(settings(f"http://127.0.0.1:{port}"))


def settings(endpoint: str, **changed: Any) -> Settings:
    return Settings(
        **{
            "s3_endpoint_url": endpoint,
            "s3_region": "us-east-1",
            "s3_access_key_id": "key",
            "s3_secret_access_key": "secret",
            "s3_bucket": BUCKET,
        }
        | changed
    )


def plain_client(endpoint: str) -> Any:
    """boto3 without anything of Quire's."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )


def _check_credentials_after(endpoint: str, requests: str) -> None:
    request = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", requests.encode(), {"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request).close()


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[S3Store]:
    """A store whose server gives one and the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        requests: ClassVar[int] = 0

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield S3Store.from_settings(settings(f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            thread.join()


def error_body(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def put(store: S3Store, key: str, content: bytes) -> None:
    store.put(BUCKET, key, io.BytesIO(content))


def test_with_a_bucket_objects_live_in_s3(endpoint: str):
    assert isinstance(create_store(settings(endpoint)), S3Store)


def test_what_was_put_is_downloaded(store: S3Store, tmp_path: Path):
    put(store, "a/b c/é.pdf", b"content")
    assert store.download(BUCKET, "a/b c/é.pdf", tmp_path / "file") == 7
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_large_object_goes_there_and_back(store: S3Store, tmp_path: Path):
    content = random.Random(7).randbytes(12 * 1024 * 1024 + 1)
    put(store, "large", content)
    assert store.download(BUCKET, "large", tmp_path / "file") == len(content)
    assert (tmp_path / "file").read_bytes() == content


def test_a_large_object_goes_in_parts(store: S3Store, endpoint: str):
    put(store, "parts", bytes(12 * 1024 * 1024))
    # The tag of an object that came in parts ends with their number.
    assert plain_client(endpoint).head_object(Bucket=BUCKET, Key="parts")["ETag"].strip('"').endswith("-2")


def test_the_content_type_is_kept(store: S3Store, endpoint: str):
    store.put(BUCKET, "typed", io.BytesIO(b"x"), "application/pdf")
    assert plain_client(endpoint).head_object(Bucket=BUCKET, Key="typed")["ContentType"] == "application/pdf"


def test_an_empty_object_is_an_object(store: S3Store, tmp_path: Path):
    put(store, "empty", b"")
    assert store.download(BUCKET, "empty", tmp_path / "file") == 0
    assert (tmp_path / "file").read_bytes() == b""


def test_head_says_the_size(store: S3Store):
    put(store, "five", b"12345")
    assert store.head(BUCKET, "five") == StoredObject(BUCKET, "five", 5)


def test_put_replaces_what_was_there(store: S3Store):
    put(store, "twice", b"old and longer")
    put(store, "twice", b"new")
    assert store.head(BUCKET, "twice").size == 3


def test_an_object_is_deleted(store: S3Store):
    put(store, "gone", b"x")
    store.delete(BUCKET, "gone")
    with pytest.raises(ObjectNotFound):
        store.head(BUCKET, "gone")


def test_all_objects_below_a_prefix_are_deleted(store: S3Store):
    for key in ("a/1", "a/b/2", "ab", "b"):
        put(store, key, b"x")
    store.delete_prefix(BUCKET, "a/")
    store.delete_prefix(BUCKET, "nothing/")
    for key in ("a/1", "a/b/2"):
        with pytest.raises(ObjectNotFound):
            store.head(BUCKET, key)
    assert [store.head(BUCKET, key).size for key in ("ab", "b")] == [1, 1]


def test_deleting_what_is_not_there_is_no_error(store: S3Store):
    store.delete(BUCKET, "never-there")


def test_a_key_is_a_name_and_not_a_path(store: S3Store, tmp_path: Path):
    put(store, "../x", b"dots")
    store.download(BUCKET, "../x", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"dots"


def test_an_object_of_just_the_limit_is_downloaded(store: S3Store, tmp_path: Path):
    put(store, "limit", b"12345")
    assert store.download(BUCKET, "limit", tmp_path / "file", max_bytes=5) == 5


def test_an_object_over_the_limit_is_refused_before_it_is_transferred(store: S3Store, tmp_path: Path):
    put(store, "limit", b"12345")
    with pytest.raises(TooLarge):
        store.download(BUCKET, "limit", tmp_path / "file", max_bytes=4)
    assert not (tmp_path / "file").exists()


def test_a_missing_object_cannot_be_downloaded(store: S3Store, tmp_path: Path):
    with pytest.raises(ObjectNotFound, match="no object 'missing'"):
        store.download(BUCKET, "missing", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_missing_object_has_no_head(store: S3Store):
    with pytest.raises(ObjectNotFound, match="no object 'missing'"):
        store.head(BUCKET, "missing")


def test_a_missing_bucket_is_named_by_a_download(store: S3Store, tmp_path: Path):
    with pytest.raises(ObjectNotFound, match="no bucket 'nowhere'"):
        store.download("nowhere", "a", tmp_path / "file")


def test_a_missing_bucket_is_named_by_a_put(store: S3Store):
    with pytest.raises(ObjectNotFound, match="no bucket 'nowhere'"):
        store.put("nowhere", "a", io.BytesIO(b"x"))


def test_a_missing_bucket_is_named_by_check(store: S3Store):
    with pytest.raises(ObjectNotFound, match="no bucket 'nowhere'"):
        store.check("nowhere")


@pytest.mark.parametrize("bucket", ["../x", "no spaces", "Ä", ""])
def test_a_name_that_no_bucket_can_have_is_not_found_and_not_tried_again(store: S3Store, bucket: str):
    with pytest.raises(ObjectNotFound) as refused:
        store.head(bucket, "a")
    assert not refused.value.retryable


def test_check_returns_where_the_bucket_is(store: S3Store):
    store.check(BUCKET)


@pytest.mark.parametrize("act", ["put", "download", "head", "delete", "check"])
def test_wrong_credentials_are_access_denied(nobody: S3Store, tmp_path: Path, act: str):
    with pytest.raises(StorageAccessDenied, match="S3_ACCESS_KEY_ID") as refused:
        _act(nobody, act, tmp_path)
    assert SECRET not in refused.value.message


@pytest.mark.parametrize(
    "code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed"]
)
def test_a_refusal_is_access_denied_whatever_it_is_called(tmp_path: Path, code: str):
    with answering(403, error_body(code)) as store, pytest.raises(StorageAccessDenied, match=code):
        store.download(BUCKET, "a", tmp_path / "file")


def test_missing_credentials_are_access_denied(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    store = S3Store.from_settings(settings(endpoint, s3_access_key_id=None, s3_secret_access_key=None))
    with pytest.raises(StorageAccessDenied, match="no object storage credentials"):
        store.head(BUCKET, "a")


@pytest.mark.parametrize("act", ["put", "download", "head"])
def test_a_store_that_does_not_answer_is_unreachable(unreachable: S3Store, tmp_path: Path, act: str):
    with pytest.raises(StorageUnreachable, match="S3_ENDPOINT_URL") as refused:
        _act(unreachable, act, tmp_path)
    assert refused.value.retryable


def test_a_store_that_cannot_serve_just_now_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with answering(503, error_body("SlowDown")) as store, pytest.raises(StorageUnreachable, match="SlowDown"):
        store.download(BUCKET, "a", tmp_path / "file")


def test_a_body_that_breaks_off_is_unreachable(tmp_path: Path):
    with (
        answering(200, b"only this", {"Content-Length": "1000"}) as store,
        pytest.raises(StorageUnreachable),
    ):
        store.download(BUCKET, "a", tmp_path / "file")


def _act(store: S3Store, act: str, tmp_path: Path) -> None:
    if act == "put":
        store.put(BUCKET, "a", io.BytesIO(b"x"))
    elif act == "download":
        store.download(BUCKET, "a", tmp_path / "file")
    elif act == "check":
        store.check(BUCKET)
    else:
        getattr(store, act)(BUCKET, "a")
