"""Windows hold the whole document, each character once, and fit into the budget."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from quire.settings import Settings
from study.windows import estimate_tokens, halves, plan_windows, window_tokens

TEXTS = st.lists(st.text(st.sampled_from("ab \n漢é"), max_size=400), max_size=12)


@given(TEXTS, st.integers(60, 400))
@settings(max_examples=80, deadline=None)
def test_windows_hold_every_character_once_and_in_order(texts: list[str], most: int):
    pages = list(enumerate(texts, 1))
    windows = plan_windows(pages, most)
    joined: dict[int, str] = {}
    for window in windows:
        assert window.tokens <= most + 1
        for part in window.parts:
            assert len(joined.get(part.page_number, "")) == part.start
            joined[part.page_number] = (
                joined.get(part.page_number, "") + dict(pages)[part.page_number][: part.end][part.start :]
            )
    assert joined == {number: text for number, text in pages if text.strip()}
    assert windows == plan_windows(iter(pages), most)


@given(st.text(st.sampled_from("ab \n漢"), min_size=300, max_size=900))
@settings(max_examples=40, deadline=None)
def test_halves_hold_what_the_whole_held(text: str):
    for window in plan_windows([(1, text)], 10_000):
        parts = halves(window, {1: text})
        if parts is None:
            continue
        pieces = [part for half in parts for part in half.parts]
        assert "".join(text[part.start : part.end] for part in pieces) == text
        assert all(half.tokens < window.tokens for half in parts)


def test_what_is_short_cannot_be_halved():
    (window,) = plan_windows([(1, "a few words")], 1000)
    assert halves(window, {1: "a few words"}) is None


def test_pages_are_kept_together_while_they_fit():
    windows = plan_windows(((number, "word " * 60) for number in range(1, 11)), 500)
    assert [(window.first_page, window.last_page) for window in windows] == [(1, 4), (5, 8), (9, 10)]


def test_other_scripts_count_more():
    assert estimate_tokens("漢" * 300) > 2 * estimate_tokens("a" * 300)


def test_the_answer_has_room_beside_the_window():
    room = window_tokens(Settings(quire_llm_context_tokens=8000, quire_llm_output_tokens=2000))
    assert 4000 < room < 6000
    assert window_tokens(Settings(quire_llm_context_tokens=2000, quire_llm_output_tokens=4000)) > 0
