"""What is shown of a model that is often wrong, looked at by a checker that shares no code with the maker."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.study_aids_check import check
from quire.contracts import FlashcardOptions, PageText, QuizOptions, SummaryOptions
from study import client as study_client
from study.make import make
from tests.llm_server import LlmServer, llm_server
from tests.study_answers import SOUND, UNSOUND, PartlyWrong
from tests.study_documents import book, page_of
from tests.unit.test_study_making import Folder, maker_of

ASKED = (SummaryOptions(), SummaryOptions(style="sections"), FlashcardOptions(count=40), QuizOptions(count=30))


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_client, "_FIRST_PAUSE_SECONDS", 0.01)


def short(number: int) -> list[PageText]:
    """A receipt, with lines of which no words are known."""
    lines = [
        f"Receipt {number}",
        "Two loaves of rye bread",
        f"Total to be paid EUR {number},40",
        "Thank you, come again",
    ]
    page = page_of(1, lines)
    return [page.model_copy(update={"words": tuple(word for word in page.words if word.line != 1)})]


def made_of(server: LlmServer, name: str, pages: list[PageText]) -> dict[str, Any]:
    """A document as the API answers it."""
    small = {"quire_llm_context_tokens": 6000, "quire_llm_output_tokens": 1000, "quire_llm_attempts": 4}
    made = [make(maker_of(server, Folder(pages), **small), options) for options in ASKED]
    results = [each.model_dump(mode="json") for each in made]
    return {
        "name": name,
        "pages": [page.model_dump(mode="json") for page in pages],
        "artifacts": [{"kind": each["kind"], "status": "completed", "result": each} for each in results],
    }


def test_whatever_the_model_says_what_is_shown_has_its_words_under_its_boxes(server: LlmServer):
    server.answer = model = PartlyWrong()
    documents = [made_of(server, "long", book(40)), *(made_of(server, f"{n}", short(n)) for n in range(1, 6))]
    report = check(documents, UNSOUND, SOUND)
    assert report.faults == []
    assert set(report.kinds_shown) >= {*SOUND, "chosen"}
    assert report.items > 100
    assert report.most_shown < 2
    # All of it was tried, and counted.
    assert set(model.said) == {*SOUND, *UNSOUND, "chosen"}
    assert len(model.faults) > 3
    assert all(report.dropped[reason] for reason in ("quote_not_found", "duplicate", "incomplete", "asked_again"))
    assert report.dropped["answer_not_in_options"]


def test_the_checker_sees_what_is_wrong(server: LlmServer):
    good = made_of(server, "one", book(2))
    assert check([good], UNSOUND, ()).faults == []

    def faults(change: Any) -> list[str]:
        bad = copy.deepcopy(good)
        change(bad["artifacts"][2]["result"]["cards"][0])
        return [fault.rpartition(": ")[2] for fault in check([bad], UNSOUND, SOUND).faults]

    def cited(card: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = card["citations"][0]
        return found

    def move(card: dict[str, Any]) -> None:
        cited(card)["boxes"] = [[[x, y + 100] for x, y in box] for box in cited(card)["boxes"]]

    whole = [[0, 0], [2000, 0], [2000, 3000], [0, 3000]]
    assert faults(lambda card: card.update(citations=[])) == ["no citation"]
    assert faults(lambda card: card.update(front="1 [invented]")) == ["invented"]
    assert faults(lambda card: cited(card).update(quote="It is made of green cheese")) == [
        "the page does not have the quoted words"
    ]
    assert faults(lambda card: card.update(front="1 [exact] Other words than those")) == [
        "something else is cited than the model has quoted"
    ]
    assert faults(lambda card: cited(card).update(page_number=9)) == ["there is no such page"]
    assert faults(move) == ["the boxes do not cover the quoted words"]
    assert faults(lambda card: cited(card).update(boxes=[whole])) == ["the boxes cover far more than the quoted words"]
