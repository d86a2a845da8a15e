"""Log lines: their form, their ids, and what must not be in them."""

from __future__ import annotations

import json
import logging
import socket
import sys
import time
import uuid
from pathlib import Path

import pytest

from quire.errors import SettingsError
from quire.settings import Settings
from quire.telemetry import logs, messages, meters, tracing
from quire.telemetry.context import bound
from quire.telemetry.redaction import Redaction

SECRETS = Settings(
    redis_url="redis://:redis%40word!@redis.example:6379/0",
    database_url="postgresql://quire:pg-password@db.example/quire",
    s3_secret_access_key="s3+secret/key==",
    quire_api_key="qk_0123456789abcdef",
)


@pytest.mark.parametrize(
    "line",
    [
        "connecting to redis://:redis%40word!@redis.example:6379/0",
        "AUTH redis@word! refused",
        "FATAL: password pg-password is wrong for postgresql://quire:pg-password@db.example/quire",
        "signed with s3+secret/key==",
        "Authorization: Bearer qk_0123456789abcdef",
    ],
)
def test_secrets_of_the_settings_are_taken_out(line: str):
    redacted = Redaction(SECRETS)(line)
    for secret in ("redis%40word!", "redis@word!", "pg-password", "s3+secret/key==", "0123456789abcdef"):
        assert secret not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("amqp://user:hunter2@host/x failed", "amqp://user:***@host/x failed"),
        ("key qk_abcdefghijkl used", "key qk_*** used"),
        ("secret whsec_MfKQ9r8GKYqrTwjU", "secret whsec_***"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic ***"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_as_well(line: str, redacted: str):
    assert Redaction(Settings())(line) == redacted


@pytest.mark.parametrize(
    "line", ["GET http://127.0.0.1:8000/livez 200", "s3://bucket/invoices/7.pdf", "12:30: mail me@example.org", ""]
)
def test_ordinary_lines_stay_as_they_are(line: str):
    assert Redaction(SECRETS)(line) == line


def test_a_long_line_takes_no_longer_than_its_length():
    begun = time.monotonic()
    Redaction(SECRETS)("a.-" * 50_000)
    assert time.monotonic() - begun < 1


def formatted(form: str, record: logging.LogRecord) -> str:
    settings = SECRETS.model_copy(update={"quire_log_format": form})
    return logs._formatter(settings, logging.Formatter("%(levelname)s %(message)s")).format(record)


def record_of(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("quire.test", logging.WARNING, "here.py", 1, message, arguments, None)


def test_a_json_line_has_its_ids_and_nothing_that_a_library_added():
    record = record_of("read %d pages", 7)
    record.data = {"id": "task-1", "kwargs": {"key": "invoices/secret.pdf"}}
    document = uuid.uuid4()
    with bound(request="r-1", document=document):
        line = json.loads(formatted("json", record))
    assert line.pop("time").endswith("+00:00")
    assert line.pop("process") == record.process
    assert line == {
        "level": "warning",
        "logger": "quire.test",
        "message": "read 7 pages",
        "request_id": "r-1",
        "task_id": "task-1",
        "document_id": str(document),
    }


def test_a_traceback_is_part_of_its_line_and_has_no_secret():
    try:
        raise RuntimeError("connect to postgresql://quire:pg-password@db.example/quire")
    except RuntimeError:
        record = logging.LogRecord("quire.test", logging.ERROR, "here.py", 1, "failed", (), sys.exc_info())
    line = formatted("json", record)
    assert "\n" not in line
    assert "RuntimeError: connect to postgresql://quire:***@db.example/quire" in json.loads(line)["exception"]


def test_a_line_of_text_has_its_ids_behind_it():
    with bound(request="r-1"):
        assert formatted("text", record_of("done")) == "WARNING done [request_id=r-1]"
    assert formatted("text", record_of("done")) == "WARNING done"


def test_without_an_endpoint_there_are_no_spans_and_no_sdk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "_provider", lambda: None)
    with tracing.span("anything", parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") as span:
        span.set_attribute("quire.page", 1)
        assert not span.is_recording()
        assert tracing.traceparent() is None
        assert tracing.current_trace_id() is None


@pytest.mark.parametrize(
    "message", [b"", b"no json", b"[]", b'{"headers": {}}', b'{"headers": {"quire_published_at": "x"}}']
)
def test_the_age_of_a_strange_message_is_not_known(message: bytes):
    assert messages.published_at(message) is None


def test_a_port_that_is_taken_is_named(tmp_path: Path):
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"QUIRE_METRICS_PORT={port} cannot be used"):
            meters.serve(tmp_path, port)
