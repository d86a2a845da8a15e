"""Study aids in the viewer: from the request to the words on the page that a card cites."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from quire.embedded.processes import free_port
from quire.embedded.stack import Stack
from tests.e2e import known_words
from tests.e2e.test_viewer import (  # fixtures among them
    DESKTOP,
    LEAST_OVERLAP,
    PHONE,
    browser,
    has_no_overflow,
    on_screen,
    open_page,
    overlap,
    payload,
    rectangles,
    serious_violations,
    submit,
)
from tests.llm_server import KEY, Asked, LlmServer, llm_server
from tests.pdfs import Rectangle, write_picture_pdf, write_scanned_pdf, written

__all__ = ["browser", "open_page"]

OpenPage = Callable[..., Page]
LINES: Final = ("Ledger kept 1933", "Flour sacks sold 512", "Rye and oats 8640", "Candles boxes 77")
# What is cited: a line, and a part of another one.
QUOTES: Final = ("Rye and oats 8640", "sold 512")
# Long enough to be looked at while it is read; it is cancelled.
LONG_PAGES: Final = 300


def answer(asked: Asked) -> dict[str, Any]:
    """Cards, points and questions about both pages; a quote that is in neither among them."""
    first = {"page": 1, "quote": known_words.LINES[1]}
    line, part = ({"page": 2, "quote": quote} for quote in QUOTES)
    made_up = {"page": 1, "quote": "The moon is made of green cheese"}
    if asked.shape == "Cards":
        cards = [("What grew?", "Wheat", [first]), ("Rye and oats?", "8640", [line]), ("Sacks?", "512", [part, first])]
        return {"cards": [{"front": f, "back": b, "difficulty": "easy", "quotes": q} for f, b, q in cards]}
    if asked.shape == "Points":
        points = [("Wheat and barley grew.", first), ("Flour was sold.", part), ("Cheese.", made_up)]
        return {"points": [{"heading": "", "text": text, "quotes": [quote]} for text, quote in points]}
    return {
        "questions": [
            ask("single_choice", "How much rye and oats?", ["8640"], ["6480", "4680"], line),
            ask("multiple_choice", "What was harvested?", ["Wheat", "Barley"], ["Rice"], first),
            ask("short_answer", "How many sacks were sold?", [], [], part) | {"answer": "512", "explanation": "So."},
        ]
    }


def ask(kind: str, question: str, right: list[str], wrong: list[str], quote: dict[str, Any]) -> dict[str, Any]:
    options = [{"text": text, "explanation": f"About {text}."} for text in (*wrong, *right)]
    more = {"answer": "", "explanation": "", "quotes": [quote]}
    return {"kind": kind, "question": question, "options": options, "correct_options": right, **more}


@pytest.fixture(scope="module")
def model() -> Iterator[LlmServer]:
    with llm_server() as running:
        running.answer = answer
        yield running


@pytest.fixture(scope="module")
def stack(
    browser: Browser, model: LlmServer, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The whole system, without a key for the language model."""
    env = {"QUIRE_MODEL_DIR": str(model_dir), "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": ""}
    with Stack(tmp_path_factory.mktemp("study"), free_port(), beat=False, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def set_up(stack: Stack) -> Stack:
    """The same, with the key, from here on."""
    stack.env["OPENAI_API_KEY"] = KEY
    worker = next(process for process in stack.processes if process.name == "default-worker")
    worker.stop()
    restarted = stack.start_again(worker)
    deadline = time.monotonic() + 60
    while not stack.is_ready(restarted):
        assert time.monotonic() < deadline, restarted.last_lines()
        time.sleep(0.05)
    return stack


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A scan of two pages whose words have known places."""
    pages = [known_words.picture()[0], second_page()[0]]
    return write_picture_pdf(tmp_path_factory.mktemp("pages") / "ledger.pdf", pages).read_bytes()


def second_page() -> tuple[Any, dict[str, Rectangle]]:
    image, places = written(LINES, 44, known_words.SIZE, (60, 60))
    return image, dict(places)


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.api_url}/api/v1", timeout=30) as client:
        yield client


def study(page: Page) -> Locator:
    page.get_by_role("tab", name="Study").click()
    return page.get_by_role("tabpanel")


def make(panel: Locator, kind: str) -> None:
    panel.get_by_role("radio", name=kind).check(force=True)
    panel.get_by_role("button", name=re.compile(f"Make (a )?{kind}", re.I)).click()


def hold(event: threading.Event) -> None:
    event.wait(30)


def heading(page: Page) -> Locator:
    return page.locator(".study-title h2")


def test_without_a_key_it_says_what_to_do_and_goes_on_when_that_is_done(
    open_page: OpenPage, api: httpx.Client, ledger: bytes, request: pytest.FixtureRequest
):
    page = open_page(f"/documents/{submit(api, ledger, 'ledger.pdf')}")
    panel = study(page)
    make(panel, "Summary")
    notice = panel.get_by_role("alert")
    expect(notice.locator("code")).to_have_text("llm_unavailable")
    expect(notice).to_contain_text("Set OPENAI_API_KEY")
    assert serious_violations(page) == []
    panel.get_by_role("button", name="All study aids").click()
    expect(panel.locator(".aid .badge")).to_have_text("Unavailable")
    panel.locator(".aid").click()
    request.getfixturevalue("set_up")
    panel.get_by_role("button", name="Make it again").click()
    # By itself, without the page being loaded anew.
    expect(panel.locator(".points > li")).to_have_count(2)
    expect(panel.locator(".study-foot")).to_contain_text("left out")


def assert_marked(page: Page, words: str, turn: int = 0) -> None:
    """These words of the second page are marked, and in sight."""
    places = second_page()[1]
    lefts, tops, rights, bottoms = zip(*(places[word] for word in words.split()), strict=True)
    expected = on_screen(page, (min(lefts), min(tops), max(rights), max(bottoms)), turn)
    marks = rectangles(page, ".evidence polygon")
    lefts, tops, rights, bottoms = zip(*marks, strict=True)
    around = (min(lefts), min(tops), max(rights), max(bottoms))
    assert overlap(around, expected) >= LEAST_OVERLAP, (words, turn)
    ((left, top, right, bottom),) = rectangles(page, ".page-view")
    x, y = (around[0] + around[2]) / 2, (around[1] + around[3]) / 2
    assert left < x < right, (words, turn)
    assert top < y < bottom, (words, turn)


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_a_card_leads_to_the_words_it_cites(
    open_page: OpenPage, set_up: Stack, ledger: bytes, viewport: ViewportSize, scheme: str
):
    page = open_page(viewport=viewport, color_scheme=scheme)
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Choose files").click()
    chosen.value.set_files(payload("ledger.pdf", ledger))
    expect(page).to_have_url(re.compile(r"/documents/"))
    panel = study(page)
    # Whether it has been read by now or not.
    make(panel, "Flashcards")
    expect(panel.locator(".flashcard-text")).to_have_text("What grew?")
    page.locator(".flashcard-face").click()
    expect(panel.locator(".flashcard-text")).to_have_text("Wheat")
    panel.get_by_role("button", name="Next card").click()
    expect(panel.locator(".flashcard-text")).to_have_text("Rye and oats?")
    panel.locator(".citation").click()
    expect(page).to_have_url(re.compile(r"page=2&aid="))
    expect(page.locator(".page-view img")).to_have_attribute("alt", "Page 2")
    expect(page.locator(".quote")).to_have_text(QUOTES[0])
    expect(page.get_by_role("status").filter(has_text="Page 2. Marked on it")).to_contain_text(QUOTES[0])
    assert_marked(page, QUOTES[0])
    assert serious_violations(page) == []
    assert has_no_overflow(page)
    # A part of a line, where the page is larger than its view; and once more turned.
    panel.get_by_role("button", name="Next card").click()
    for turn in (0, 1):
        for _ in range(5 if not turn else 1):
            page.get_by_role("button", name="Zoom in").click()
        if turn:
            page.get_by_role("button", name="Turn the page").click()
        page.locator(".page-view").evaluate("view => view.scrollTo(view.scrollWidth, view.scrollHeight)")
        panel.get_by_role("button", name="Show on page 2").click()
        expect(page.locator(".quote")).to_have_text(QUOTES[1])
        assert_marked(page, QUOTES[1], turn)
    panel.get_by_role("button", name="Show on page 1").click()
    expect(page).to_have_url(re.compile(r"page=1&aid="))
    panel.get_by_role("button", name="Hide the evidence").click()
    expect(page.locator(".evidence")).to_have_count(0)
    # The address is a link for somebody else, who sees the same study aid.
    page.reload()
    expect(panel.locator(".flashcard-text")).to_have_text("What grew?")


def test_cards_with_the_keyboard_and_as_files(open_page: OpenPage, set_up: Stack, api: httpx.Client, ledger: bytes):
    document = submit(api, ledger, "ledger.pdf", follow_ups="flashcards")
    page = open_page(f"/documents/{document}")
    panel = study(page)
    panel.locator(".aid").focus()
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Flashcards")
    expect(heading(page)).to_be_focused()
    expect(panel.locator(".flashcard-text")).to_be_visible()
    panel.get_by_role("button", name="Show the answer").focus()
    page.keyboard.press("Enter")
    expect(panel.locator(".flashcard-text")).to_have_text("Wheat")
    page.keyboard.press("ArrowRight")
    expect(panel.locator(".flashcard-text")).to_have_text("Rye and oats?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".evidence polygon")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".evidence")).to_have_count(0)
    for name, start in {"Markdown": b"# ", "JSON": b"{", "CSV": b"\xef\xbb\xbffront", "Anki": b"PK"}.items():
        panel.get_by_role("button", name="Export the flashcards").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name=name).click()
        assert saved.value.suggested_filename.startswith("ledger.flashcards.")
        assert saved.value.path().read_bytes().startswith(start)


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"])
def test_a_quiz_says_what_is_right_and_why(
    open_page: OpenPage,
    set_up: Stack,
    model: LlmServer,
    api: httpx.Client,
    ledger: bytes,
    viewport: ViewportSize,
    scheme: str,
):
    page = open_page(f"/documents/{submit(api, ledger, 'ledger.pdf')}", viewport, color_scheme=scheme)
    panel = study(page)
    panel.get_by_role("radio", name="Quiz").check(force=True)
    for kind in ("Several answers", "True or false", "Own words"):
        panel.get_by_role("checkbox", name=kind).check()
    panel.get_by_label("Language").fill("a language that is not spoken anywhere")
    looked_at = threading.Event()
    model.before = lambda _: hold(looked_at)
    make(panel, "Quiz")
    check = panel.locator(".question .primary")
    option = panel.locator(".option")

    # What was asked for is longer than the panel is wide, and does not make it wider.
    expect(panel.locator(".unfinished .badge")).to_have_text("Being made")
    expect(panel.locator(".study-title p")).to_contain_text("At most 10 questions")
    assert panel.locator(".study").evaluate(
        "study => study.scrollWidth <= study.parentElement.parentElement.clientWidth"
    )
    looked_at.set()
    questions = panel.locator(".question legend")
    expect(questions).to_have_text("How much rye and oats?")
    expect(check).to_be_disabled()
    option.filter(has_text="6480").click()
    check.click()
    expect(panel.locator(".verdict")).to_have_text("Not right.")
    expect(panel.locator(".option.wrong")).to_contain_text("Wrong. About 6480.")
    expect(panel.locator(".option.right")).to_contain_text("Right. About 8640.")
    panel.locator(".citation").click()
    expect(page.locator(".page-view img")).to_have_attribute("alt", "Page 2")
    assert_marked(page, QUOTES[0])
    assert serious_violations(page) == []
    assert has_no_overflow(page)

    check.click()
    expect(questions).to_have_text("What was harvested?")
    for text in ("Wheat", "Barley"):
        option.filter(has_text=text).click()
    check.click()
    expect(panel.locator(".verdict")).to_have_text("Right.")
    check.click()
    panel.get_by_role("textbox", name="Your answer").fill("Five hundred and twelve")
    check.click()
    expect(panel.locator(".own-answer-text")).to_have_text("512")
    panel.get_by_role("button", name="I had it").click()
    # What somebody has got to is there when they come back from the text.
    page.get_by_role("tab", name="Text").click()
    study(page)
    check.click()
    expect(panel.locator(".score h3")).to_have_text("2 of 3 right")
    assert serious_violations(page) == []
    panel.get_by_role("button", name="Start again").click()
    expect(questions).to_have_text("How much rye and oats?")
    expect(panel.locator(".quiz-facts")).to_contain_text("0 right")


def test_what_is_asked_for_with_the_file_waits_for_it(open_page: OpenPage, set_up: Stack, tmp_path: Path):
    page = open_page()
    page.get_by_text("Options").click()
    for kind in ("Summary", "Quiz"):
        page.get_by_role("checkbox", name=kind).check()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Choose files").click()
    content = write_scanned_pdf(tmp_path / "long.pdf", LONG_PAGES).read_bytes()
    chosen.value.set_files(payload("long.pdf", content))
    panel = study(page)
    aids = panel.locator(".aid")
    expect(aids).to_have_count(2)
    for index in range(2):
        expect(aids.nth(index).locator(".badge")).to_have_text("Waiting")
        expect(aids.nth(index)).to_contain_text("when the document has been read")
    panel.get_by_role("button", name="New").click()
    expect(panel.get_by_text("The document is still being read")).to_be_visible()
    assert serious_violations(page) == []
    aids.filter(has_text="Quiz").click()
    expect(panel.get_by_text("It appears here by itself.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_role("alert").locator("code")).to_have_text("no_text")
