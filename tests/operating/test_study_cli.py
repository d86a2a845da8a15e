"""`quire study` against a running system, and what an operator sees of it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from quire.cli.samples import BORN_DIGITAL_PAGE, sample_pdf
from tests.llm_server import KEY
from tests.operating.conftest import System
from tests.operating.test_cli import quire
from tests.operating.test_observed import metrics


@pytest.fixture(scope="module")
def env(system: System) -> dict[str, str]:
    return system.env | {"QUIRE_API_URL": system.url, "QUIRE_API_KEY": system.key, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def document_id(system: System) -> str:
    found = system.upload(sample_pdf())
    system.wait_until_read(found)
    return found


@pytest.fixture(scope="module")
def cards(env: dict[str, str], document_id: str) -> dict[str, Any]:
    """Flashcards that were asked for and waited for."""
    ended = quire(env, "study", "request", document_id, "flashcards", "--count", "2", "--wait", "--json")
    assert (ended.status, ended.errors) == (0, "")
    return ended.document


def test_a_study_aid_is_asked_for_and_waited_for(env: dict[str, str], document_id: str, cards: dict[str, Any]):
    assert (cards["kind"], cards["status"], cards["options"]["count"]) == ("flashcards", "completed", 2)
    assert all(card["citations"] for card in cards["result"]["cards"])
    again = quire(env, "study", "request", document_id, "flashcards", "--count", "2", "--json")
    assert again.document["id"] == cards["id"]
    watched = quire(env, "study", "watch", document_id, cards["id"])
    assert watched.status == 0
    assert watched.output.startswith(f"{cards['id']}  flashcards  completed")


def test_it_is_shown_and_listed(env: dict[str, str], document_id: str, cards: dict[str, Any]):
    shown = quire(env, "study", "show", document_id, cards["id"])
    assert shown.status == 0
    assert "tokens   100 in, 10 out" in shown.output
    assert f"> {cards['result']['cards'][0]['citations'][0]['quote'].split()[0]}" in shown.output
    assert quire(env, "study", "show", document_id, cards["id"], "--json").document == cards
    (listed,) = quire(env, "study", "list", document_id, "--json").lines
    assert (listed["id"], listed["result"]) == (cards["id"], None)
    table = quire(env, "study", "list", document_id).output.splitlines()
    assert table[0].split() == ["id", "kind", "status", "parts", "created"]
    assert table[1].split()[:3] == [cards["id"], "flashcards", "completed"]


def test_it_is_exported(env: dict[str, str], document_id: str, cards: dict[str, Any], tmp_path: Path):
    printed = quire(env, "study", "export", document_id, cards["id"], "-f", "json")
    assert len(json.loads(printed.output)["cards"]) == 2
    saved = quire(env, "study", "export", document_id, cards["id"], "-f", "apkg", "-o", tmp_path / "a.apkg", "--json")
    assert saved.document["bytes"] == (tmp_path / "a.apkg").stat().st_size
    assert (tmp_path / "a.apkg").read_bytes().startswith(b"PK")


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("request", str(uuid.UUID(int=7)), "summary"), 1, "quire: document_not_found: "),
        (("request", str(uuid.UUID(int=7)), "summary", "--count", "3"), 2, "quire: usage: count: not an option"),
        (("show", str(uuid.UUID(int=7)), str(uuid.UUID(int=8))), 1, "quire: document_not_found: "),
        (("export", str(uuid.UUID(int=7)), str(uuid.UUID(int=8)), "--json"), 2, "quire: usage: --json says"),
    ],
)
def test_an_error_is_one_line_with_its_code(env: dict[str, str], arguments: tuple[str, ...], status: int, error: str):
    ended = quire(env, "study", *arguments)
    assert (ended.status, ended.output) == (status, "")
    assert ended.errors.startswith(error)


def test_what_it_has_cost_is_counted_and_not_what_it_says(system: System, cards: dict[str, Any]):
    answer = httpx.get(f"{system.metrics_url}/metrics")
    found = metrics(answer)
    assert found["quire_llm_request_seconds_count", frozenset({("outcome", "answered")})] >= 1
    assert found["quire_llm_tokens_total", frozenset({("direction", "input")})] >= 100
    assert found["quire_llm_tokens_total", frozenset({("direction", "output")})] >= 10
    assert found["quire_study_aids_total", frozenset({("kind", "flashcards"), ("outcome", "completed")})] >= 1
    labels = frozenset({("kind", "quiz"), ("reason", "quote_not_found")})
    assert found["quire_study_items_dropped_total", labels] == 0
    for secret in (KEY, BORN_DIGITAL_PAGE[0]):
        assert secret not in answer.text + system.logs()
