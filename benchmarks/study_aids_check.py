"""Looks at study aids as the API answers them, and at nothing else: are the words there, and do the boxes cover them?

It shares no code with what makes study aids. Used by `benchmarks.study_aids`, or by itself on a file of that run's:
`python -m benchmarks.study_aids_check FILE`. Its own idea of the same words is letters and digits without case; its own
idea of covering is that the middle of a word lies in a box.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

# Of 100: a line is under a box that has so much of it.
_WHOLE_LINE: Final = 0.95
# A box may show so many times the quoted letters: a whole line where its words are not known.
_MOST_SHOWN: Final = 4.0
_SAME_WORDS: Final = 0.85
# Kinds whose quote may be in the document by chance: receipts of one shop have lines in common.
_QUOTES_OF_THEIR_OWN: Final = ("foreign", "other number")


@dataclass
class Report:
    """What was looked at, and every fault that was found, with its document, study aid and item."""

    items: int = 0
    citations: int = 0
    boxes: int = 0
    faults: list[str] = field(default_factory=list)
    kinds_shown: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    most_shown: float = 0.0

    def to_json(self) -> Json:
        """As a JSON value; `most_shown` is how many times the quoted letters its boxes cover, at most."""
        return {
            "study_aids": dict(self.statuses),
            "items_shown": self.items,
            "citations": self.citations,
            "boxes": self.boxes,
            "faults": self.faults,
            "kinds_shown": dict(sorted(self.kinds_shown.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "most_shown": round(self.most_shown, 2),
        }


def check(documents: Sequence[Json], unsound: Sequence[str], quoted: Sequence[str]) -> Report:
    """Look at documents, each `{"name", "pages", "artifacts"}` as the API answers the last two.

    Items have their kind in brackets in their texts: those that are `unsound` may not be shown, after those that are
    `quoted` the model's quote follows.
    """
    report = Report()
    for document in documents:
        pages = {page["page_number"]: page for page in document["pages"]}
        for artifact in document["artifacts"]:
            report.statuses[artifact["status"]] += 1
            where = f"{document['name']}, {artifact['kind']}"
            if artifact["status"] != "completed":
                report.faults.append(f"{where}: {artifact['status']} {artifact.get('error')}")
                continue
            report.dropped.update(artifact["result"]["dropped"])
            for number, (text, item) in enumerate(_items(artifact["result"]), 1):
                _check_item(report, f"{where}, item {number}", text, item, pages, unsound, quoted)
    return report


def _items(result: Json) -> Iterator[tuple[str, Json]]:
    """Everything that is shown, with its text."""
    if result["kind"] == "summary":
        for section in result["sections"]:
            yield from ((point["text"], point) for point in section["points"])
    elif result["kind"] == "flashcards":
        yield from ((card["front"], card) for card in result["cards"])
    else:
        yield from ((question["question"], question) for question in result["questions"])


def _check_item(
    report: Report,
    where: str,
    text: str,
    item: Json,
    pages: dict[int, Json],
    unsound: Sequence[str],
    quoted: Sequence[str],
) -> None:
    report.items += 1
    kind = text.partition("[")[2].partition("]")[0]
    report.kinds_shown[kind] += 1
    if not item["citations"]:
        report.faults.append(f"{where}: no citation")
    options = item.get("options")
    if options and not any(option["correct"] for option in options):
        report.faults.append(f"{where}: no option is right")
    said = letters(text.partition("]")[2])
    if kind in unsound and not _is_there_by_chance(said, kind, item, pages):
        report.faults.append(f"{where}: {kind}")
    elif kind in quoted and not _is_cited(said, item):
        report.faults.append(f"{where}: something else is cited than the model has quoted")
    for citation in item["citations"]:
        report.citations += 1
        report.boxes += len(citation["boxes"])
        page = pages.get(citation["page_number"])
        fault = "there is no such page" if page is None else _fault_of(report, citation, page)
        if fault is not None:
            report.faults.append(f"{where}, page {citation['page_number']}: {fault}")


def _is_there_by_chance(said: str, kind: str, item: Json, pages: dict[int, Json]) -> bool:
    """Whether a quote that was changed, or is of another document, is letter by letter on a cited page all the same."""
    if kind not in _QUOTES_OF_THEIR_OWN:
        return False
    return any(said in letters(pages[each["page_number"]]["text"]) for each in item["citations"])


def _is_cited(said: str, item: Json) -> bool:
    """Whether one of an item's citations is what the model has quoted, but for a few letters."""
    likeness = (
        SequenceMatcher(None, said, letters(each["quote"]), autojunk=False).ratio() for each in item["citations"]
    )
    return max(likeness, default=0.0) >= _SAME_WORDS


def _fault_of(report: Report, citation: Json, page: Json) -> str | None:
    """What is wrong with a citation, or None."""
    quote = letters(citation["quote"])
    if not quote:
        return "nothing is quoted"
    if quote not in letters(page["text"]):
        return "the page does not have the quoted words"
    outside = [box for box in citation["boxes"] if not _is_on(box, page)]
    if outside:
        return "a box is not on the page"
    covered = letters(covered_text(citation["boxes"], page))
    if quote not in covered:
        return "the boxes do not cover the quoted words"
    report.most_shown = max(report.most_shown, len(covered) / len(quote))
    if len(covered) > _MOST_SHOWN * len(quote):
        return "the boxes cover far more than the quoted words"
    return None


def covered_text(boxes: Sequence[Any], page: Json) -> str:
    """The words that lie under boxes, in the order of the page."""
    words: dict[int, list[Json]] = {}
    for word in page["words"]:
        words.setdefault(word["line"], []).append(word)
    found: list[str] = []
    for index, line in enumerate(page["detections"]):
        if any(_share(line["box"], box) >= _WHOLE_LINE for box in boxes):
            found.append(line["text"])
        else:
            some = words.get(index, [])
            found += [word["text"] for word in some if any(_has(box, _middle(word["box"])) for box in boxes)]
    return " ".join(found)


def letters(text: str) -> str:
    """Letters and digits of a text, small and without accents."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return "".join(each for each in plain if each.isalnum())


def _middle(box: Any) -> tuple[float, float]:
    return sum(x for x, _ in box) / len(box), sum(y for _, y in box) / len(box)


def _has(box: Any, point: tuple[float, float]) -> bool:
    """Whether a point lies in a four-sided box: on the same side of all four."""
    x, y = point
    sides = []
    for (ax, ay), (bx, by) in zip(box, [*box[1:], box[0]], strict=True):
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    return all(side >= -1e-6 for side in sides) or all(side <= 1e-6 for side in sides)


def _share(box: Any, other: Any) -> float:
    """How much of a box lies in another one, both as upright rectangles: 0 to 1."""
    left, top, right, bottom = _upright(box)
    left2, top2, right2, bottom2 = _upright(other)
    width = min(right, right2) - max(left, left2)
    height = min(bottom, bottom2) - max(top, top2)
    area = (right - left) * (bottom - top)
    return max(0.0, width) * max(0.0, height) / area if area > 0 else 0.0


def _upright(box: Any) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return min(xs), min(ys), max(xs), max(ys)


def _is_on(box: Any, page: Json) -> bool:
    left, top, right, bottom = _upright(box)
    return left >= -1 and top >= -1 and right <= page["width"] + 1 and bottom <= page["height"] + 1 and right > left


def main(arguments: Sequence[str]) -> int:
    """Look at the documents in a file; the exit status: 1 if anything is wrong."""
    (name,) = arguments
    saved = json.loads(Path(name).read_text(encoding="utf-8"))
    report = check(saved["documents"], saved["unsound"], saved["quoted"])
    print(json.dumps(report.to_json(), indent=2))
    return 1 if report.faults or not report.items else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
