"""What making any study aid consists of: answers that are kept, windows side by side, items that are checked."""

from __future__ import annotations

import contextvars
import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from pydantic import BaseModel
from rapidfuzz import fuzz, process

from quire.contracts import PageText
from quire.errors import LlmContextOverflow, LlmFailed, NoText
from quire.settings import Settings
from quire.study_aids import Dropped
from study import prompts
from study.client import LlmClient, Prompt
from study.grounding import Grounding, fold
from study.windows import Window, halves, plan_windows, window_tokens

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")
T = TypeVar("T")
Item = TypeVar("Item", bound=BaseModel)
Shown = TypeVar("Shown", bound=BaseModel)

# Some items will be dropped: so many times more are asked for.
_MARGIN: Final = 1.3
# Of 100: two questions so much alike are the same.
_SAME: Final = 90.0


class GiveWay(Exception):
    """It is somebody else's turn. What is paid for is kept."""


class Pages(Protocol):
    """The pages of a document that were read, of which only a few are in memory."""

    def texts(self) -> Iterator[tuple[int, str]]:
        """Numbers and texts of all of them, in order."""

    def read(self, numbers: Sequence[int]) -> list[PageText]:
        """These pages, with boxes."""


class Steps(Protocol):
    """Answers that are paid for. Used by several threads at once."""

    def kept(self, step: str) -> str | None:
        """The answer to a request, if there is one."""

    def keep(self, step: str, answer: str) -> None:
        """Keep an answer. May raise, where there is no use in going on."""

    def remember(self, step: str, found: str) -> None:
        """Keep what follows from answers, and is as good as they are. May raise as `keep` does."""

    def begin_request(self) -> None:
        """Return if another request may be sent now.

        Raises:
            GiveWay: the turn is over.
            LlmBudgetExceeded: so are the tokens.
        """

    def plan(self, windows: int) -> None:
        """Note how many windows there are."""


@dataclass(frozen=True)
class Rejected:
    """An item that cannot be shown: `reason` is a field of `Dropped`, `text` says which it is."""

    reason: str
    text: str


@dataclass
class Checked(Generic[T]):
    """Items that may be shown, and what became of the others."""

    items: list[T] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)

    def plus(self, other: Checked[T]) -> Checked[T]:
        """The items of both, in order."""
        return Checked(self.items + other.items, self.dropped.plus(other.dropped))


_REASONS: Final = {
    "quote_not_found": "its quote is not on any page: copy it character by character",
    "duplicate": "it repeats another one",
    "answer_not_in_options": "its answer is not among its options, or all of them are",
    "incomplete": "something is missing",
}


@dataclass(frozen=True)
class Maker:
    """Everything that making a study aid needs."""

    settings: Settings
    client: LlmClient
    pages: Pages
    steps: Steps

    def windows(self) -> list[Window]:
        """The document in windows.

        Raises:
            NoText: there is none.
        """
        planned = plan_windows(self.pages.texts(), window_tokens(self.settings))
        if not planned:
            raise NoText("No page of the document has text, so there is nothing to make a study aid of.")
        self.steps.plan(len(planned))
        return planned

    def ask(self, prompt: Prompt, answer: type[M]) -> M:
        """The model's answer: the one that is paid for, if there is one."""
        step = prompt.digest(self.settings.openai_model, answer)
        kept = self.steps.kept(step)
        if kept is not None:
            return answer.model_validate_json(kept)
        self.steps.begin_request()
        given = self.client.ask(prompt, answer)
        self.steps.keep(step, given.model_dump_json())
        return given

    def over(self, windows: Sequence[T], work: Callable[[T], R]) -> list[R]:
        """What `work` gives for each window, in order; `QUIRE_LLM_CONCURRENCY` of them side by side.

        After the first error no others are begun, and those that are end.
        """
        with ThreadPoolExecutor(self.settings.quire_llm_concurrency, thread_name_prefix="study") as threads:
            running = [threads.submit(contextvars.copy_context().run, work, window) for window in windows]
            try:
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
                failed = next((error for each in done if (error := each.exception()) is not None), None)
                if failed is not None:
                    raise failed
                return [each.result() for each in running]
            except BaseException:
                self.client.stopping.set()
                threads.shutdown(wait=True, cancel_futures=True)
                raise

    def items(
        self,
        window: Window,
        count: int,
        prompt: Callable[[Sequence[tuple[int, str]]], Prompt],
        answer: type[M],
        items_of: Callable[[M], Sequence[Item]],
        check: Callable[[Item, Grounding], Shown | Rejected],
        key: Callable[[Shown], str],
        shown: type[Shown],
    ) -> Checked[Shown]:
        """At most `count` items about a window that may be shown; those that may not are asked for once more.

        Whoever goes on with a long document finds them again, and need not look for all the quotes once more.
        """
        # What is asked about the window is in the instructions, whatever its text.
        asked = prompt([])
        step = Prompt(asked.system, window.digest).digest(self.settings.openai_model, answer)
        kept = self.steps.kept(step)
        if kept is not None:
            return _read(kept, shown)
        found = self._items(window, count, prompt, answer, items_of, check, key)
        self.steps.remember(step, _written(found))
        return found

    def _items(
        self,
        window: Window,
        count: int,
        prompt: Callable[[Sequence[tuple[int, str]]], Prompt],
        answer: type[M],
        items_of: Callable[[M], Sequence[Item]],
        check: Callable[[Item, Grounding], T | Rejected],
        key: Callable[[T], str],
    ) -> Checked[T]:
        """The same. A window that is too long after all for the model is asked about in halves."""
        pages = {page.page_number: page for page in self.pages.read([part.page_number for part in window.parts])}
        texts = {number: page.text for number, page in pages.items()}
        grounding = Grounding(pages.values())

        def about(part: Window, most: int) -> Checked[T]:
            # A page that was deleted meanwhile has no text any more.
            passages = [
                (each.page_number, texts.get(each.page_number, "")[each.start : each.end]) for each in part.parts
            ]
            question = prompt(passages)
            try:
                return self._asked_twice(question, most, answer, items_of, lambda item: check(item, grounding), key)
            except LlmContextOverflow:
                smaller = halves(part, texts)
                if smaller is None:
                    raise
                each = math.ceil(most / 2)
                return about(smaller[0], each).plus(about(smaller[1], each))

        return about(window, count)

    def _asked_twice(
        self,
        question: Prompt,
        most: int,
        answer: type[M],
        items_of: Callable[[M], Sequence[Item]],
        check: Callable[[Item], T | Rejected],
        key: Callable[[T], str],
    ) -> Checked[T]:
        checked, rejected = _sorted_out([check(item) for item in items_of(self.ask(question, answer))], key)
        if not rejected:
            return Checked(checked.items[:most], checked.dropped)
        problems = [f"{_REASONS[each.reason]}: {each.text}" for each in rejected]
        asked_again = Dropped(asked_again=1)
        try:
            second = self.ask(prompts.again(question, problems), answer)
        except (LlmFailed, LlmContextOverflow):
            # What may be shown is enough.
            return Checked(checked.items[:most], checked.dropped.plus(asked_again))
        replaced, _ = _sorted_out([*checked.items, *map(check, items_of(second))], key)
        return Checked(replaced.items[:most], checked.dropped.plus(replaced.dropped).plus(asked_again))


def shares(windows: Sequence[Window], count: int) -> list[tuple[Window, int]]:
    """How many of `count` items each window should give: by its length, a few more than are needed.

    Of more windows than items, as many as there are items, evenly over the document.
    """
    if len(windows) > count:
        return [(windows[index * len(windows) // count], 2) for index in range(count)]
    total = sum(window.tokens for window in windows)
    return [(window, max(1, math.ceil(_MARGIN * count * window.tokens / total))) for window in windows]


def merged(parts: Sequence[Checked[T]], count: int, key: Callable[[T], str]) -> Checked[T]:
    """The items of all windows, each once; `count` of them, evenly, if there are more."""
    items = [item for part in parts for item in part.items]
    checked, _ = _sorted_out(items, key)
    dropped = checked.dropped
    for part in parts:
        dropped = dropped.plus(part.dropped)
    found = len(checked.items)
    if found > count:
        return Checked([checked.items[index * found // count] for index in range(count)], dropped)
    return Checked(checked.items, dropped)


def _written(found: Checked[Shown]) -> str:
    items = [item.model_dump(mode="json") for item in found.items]
    return json.dumps({"items": items, "dropped": found.dropped.model_dump()})


def _read(text: str, shown: type[Shown]) -> Checked[Shown]:
    found = json.loads(text)
    return Checked([shown.model_validate(item) for item in found["items"]], Dropped.model_validate(found["dropped"]))


def _sorted_out(found: Sequence[T | Rejected], key: Callable[[T], str]) -> tuple[Checked[T], list[Rejected]]:
    """Items apart from those that cannot be shown, which one that repeats an earlier one cannot either."""
    checked: Checked[T] = Checked()
    rejected: list[Rejected] = []
    # By their numbers: what differs in one of them is something else, however much alike.
    seen: dict[str, list[str]] = {}
    for each in found:
        if isinstance(each, Rejected):
            rejected.append(each)
            continue
        text = key(each)
        folded = fold(text)
        alike = seen.setdefault("".join(filter(str.isdigit, folded)), [])
        if process.extractOne(folded, alike, scorer=fuzz.ratio, score_cutoff=_SAME) is not None:
            rejected.append(Rejected("duplicate", text))
            continue
        alike.append(folded)
        checked.items.append(each)
    for each in rejected:
        checked.dropped = checked.dropped.plus(Dropped(**{each.reason: 1}))
    return checked, rejected
