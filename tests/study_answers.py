"""A model that is right half of the time: what it says is sound, misquoted, invented, repeated, or no answer at all.

Every item names its kind in brackets and then says its first quote, so that whoever looks at what is shown can tell
what should not be there.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from tests.llm_server import Asked, Fault, card, point, question

Quote = dict[str, Any]
Line = tuple[int, str]

# What may be shown: the words are in the document, as they are or with such mistakes as OCR and its correction make.
SOUND: Final = ("exact", "partial", "spelling", "two lines", "wrong page")
# What may not. `foreign` is a line of another document.
UNSOUND: Final = (
    "paraphrased",
    "negated",
    "other number",
    "invented",
    "foreign",
    "half invented",
    "no quote",
    "incomplete",
    "repeated",
    "wrong answer",
    "baseless",
)
_OF_ANY_KIND: Final = (*SOUND, *SOUND, *UNSOUND[:-2])
_INVENTED: Final = "The committee resolved to sell the northern warehouse before the winter"
_LOOKALIKES: Final = {"o": "0", "O": "0", "l": "1", "I": "l", "S": "5", "B": "8"}
_SHARE_OF_FAULTS: Final = 0.3
_MOST_FAULTS: Final = 2
_LONG_LETTERS: Final = 20
_KEPT_LINES: Final = 500


@dataclass
class PartlyWrong:
    """An `Answer` of `LlmServer`. `said` counts items by kind, `faults` replies that are none, of all requests."""

    seed: int = 0
    said: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _of_request: Counter[str] = field(default_factory=Counter)
    _elsewhere: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> dict[str, Any] | Fault:
        """A fault now and then, at most `_MOST_FAULTS` for one request; else items, some of them wrong."""
        request = hashlib.sha256(asked.user.encode("utf-8", "replace")).hexdigest()
        with self._lock:
            tries = self._of_request[request]
            self._of_request[request] += 1
            luck = random.Random(f"{self.seed} {request} {tries}")
            if tries < _MOST_FAULTS and luck.random() < _SHARE_OF_FAULTS:
                name = luck.choice(list(_FAULTS))
                self.faults[name] += 1
                return _FAULTS[name]
            return self._chosen(asked, luck) if asked.shape == "Choice" else self._items(asked, luck)

    def _chosen(self, asked: Asked, luck: random.Random) -> dict[str, Any]:
        numbers = [int(each) for each in re.findall(r"^\[(\d+)\]", asked.user, re.M)]
        points = []
        for index, number in enumerate(luck.sample(numbers, min(asked.most, len(numbers)))):
            baseless = index % 4 == 1
            self.said["baseless" if baseless else "chosen"] += 1
            sources = luck.choice([[], [len(numbers) + 7], [0]]) if baseless else [number]
            points.append({"text": f"Note {number} [{'baseless' if baseless else 'chosen'}].", "sources": sources})
        return {"points": points}

    def _items(self, asked: Asked, luck: random.Random) -> dict[str, Any]:
        lines = [(page, line) for page, found in asked.pages.items() for line in found if len(line.split()) > 1]
        here = {line for _, line in lines}
        foreign = luck.sample(self._elsewhere, min(20, len(self._elsewhere)))
        foreign = [line for line in foreign if not get_close_matches(line, here, 1, 0.6)] or [_INVENTED]
        name, make = _SHAPES[asked.shape]
        items: list[dict[str, Any]] = []
        for index in range(min(asked.most, len(lines))):
            page, line = lines[index * len(lines) // min(asked.most, len(lines))]
            kind, quotes = _quoted(luck.choice(_OF_ANY_KIND), (page, line), lines, luck.choice(foreign), luck)
            wrong_answer = asked.shape == "Questions" and luck.random() < 0.15
            kind = "wrong answer" if wrong_answer else kind
            quote = quotes[0]["quote"] if quotes else line
            item = _said(make(page, line), f"{sum(self.said.values())} [{kind}] {quote}", quotes)
            if wrong_answer:
                item["correct_options"] = luck.choice([["none of these"], [], ["this", "that"]])
            elif kind == "incomplete":
                item |= {name: " " for name in ("text", "back", "options") if name in item and name != "options"}
                item |= {"options": []} if "options" in item else {}
            self.said[kind] += 1
            items.append(item)
            if luck.random() < 0.1:
                self.said["repeated"] += 1
                items.append(item)
        self._elsewhere = [*self._elsewhere, *here][-_KEPT_LINES:]
        return {name: items}


_SHAPES: Final[dict[str, tuple[str, Callable[[int, str], dict[str, Any]]]]] = {
    "Points": ("points", point),
    "Cards": ("cards", card),
    "Questions": ("questions", question),
}

_FAULTS: Final = {
    "malformed": Fault(content='{"cards": [{"front": "What'),
    "prose": Fault(content="I would be glad to help. Which part of the document interests you most?"),
    "another shape": Fault(content='{"cards": "none", "points": 7, "questions": {}}'),
    "cut off": Fault(content='{"cards": [{"front": "What is', finish_reason="length"),
    "empty": Fault(content=""),
    "no completion": Fault(raw=b"<html>Bad gateway</html>"),
    "busy": Fault(429, headers={"Retry-After": "0"}, error={"message": "slow down"}),
    "error": Fault(502, error={"message": "bad gateway"}),
    "broken off": Fault(content="x" * 4000, drop=True),
}


def _said(item: dict[str, Any], text: str, quotes: list[Quote]) -> dict[str, Any]:
    """The item with this text, which is what tells it from others, and these quotes."""
    names = ("text", "front", "question")
    return item | {name: text for name in names if name in item} | {"quotes": quotes}


def _quoted(
    kind: str, where: Line, lines: Sequence[Line], foreign: str, luck: random.Random
) -> tuple[str, list[Quote]]:
    """Quotes of a kind, about a line; a line that does not lend itself to it is quoted as it is."""
    page, line = where
    words = line.split()
    quotes = [{"page": page, "quote": line}]
    if kind == "wrong page":
        return kind, [{"page": page + luck.choice([-1, 1, 40]), "quote": line}]
    if kind == "two lines":
        after = lines.index(where) + 1
        if after < len(lines) and lines[after][0] == page:
            return kind, [{"page": page, "quote": f"{line}\n{lines[after][1]}"}]
    if kind == "partial" and len(words) > 3:
        return kind, [{"page": page, "quote": " ".join(words[1:])}]
    if kind == "spelling" and (misspelt := _misspelt(line)) is not None:
        return kind, [{"page": page, "quote": misspelt}]
    if kind == "other number" and (changed := _other_number(line)) is not None:
        return kind, [{"page": page, "quote": changed}]
    wrong = {
        "paraphrased": [{"page": page, "quote": " ".join([*words[:1], "roughly", *words[1:]])}],
        "negated": [{"page": page, "quote": " ".join([*words[:1], "not", *words[1:]])}],
        "invented": [{"page": page, "quote": _INVENTED}],
        "foreign": [{"page": page, "quote": foreign}],
        "half invented": [*quotes, {"page": page, "quote": _INVENTED}],
        "no quote": [],
        "incomplete": quotes,
    }
    return (kind, wrong[kind]) if kind in wrong else ("exact", quotes)


def _misspelt(line: str) -> str | None:
    """The line in capitals, with one sign that OCR takes for another; None where it has too few letters."""
    if sum(map(str.isalpha, line)) < _LONG_LETTERS:
        return None
    for at, letter in enumerate(line):
        if letter in _LOOKALIKES:
            return f"{line[:at]}{_LOOKALIKES[letter]}{line[at + 1 :]}".replace(",", "").replace(".", "")
    return None


def _other_number(line: str) -> str | None:
    """The line with its first digit changed; None where it has none."""
    found = re.search(r"\d", line)
    return None if found is None else f"{line[: found.start()]}{(int(found[0]) + 5) % 10}{line[found.end() :]}"
