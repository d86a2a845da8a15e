"""Study aids as files: Markdown, JSON, and for cards CSV and Anki packages."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import genanki

from quire.errors import InvalidPayload
from quire.structure.escaping import escape_line
from quire.study_aids import Citation, Flashcards, Quiz, QuizQuestion, Summary

Made = Summary | Flashcards | Quiz
Format = Literal["md", "json", "csv", "apkg"]

# A spreadsheet would take a cell that begins with one of these for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
# Anki knows a model by its number; any will do that stays the same.
_MODEL: Final = genanki.Model(
    1_614_403_127,
    "Quire",
    fields=[{"name": "Front"}, {"name": "Back"}, {"name": "Source"}],
    templates=[
        {
            "name": "Card",
            "qfmt": "{{Front}}",
            "afmt": "{{FrontSide}}<hr id=answer>{{Back}}<p><small>{{Source}}</small></p>",
        }
    ],
)


@dataclass(frozen=True)
class StudyFile:
    """An export: its bytes, their type, and the ending of its name."""

    content: bytes
    media_type: str
    suffix: str


def export(made: Made, format_: Format, title: str, document_id: str) -> StudyFile:
    """A study aid in one of the formats. `title` names a deck or a heading.

    Raises:
        InvalidPayload: the format is for flashcards alone.
    """
    if format_ == "json":
        return StudyFile(made.model_dump_json(indent=2, exclude_none=True).encode(), "application/json", "json")
    if format_ == "md":
        return StudyFile(_markdown(made, title).encode("utf-8", "replace"), "text/markdown; charset=utf-8", "md")
    if not isinstance(made, Flashcards):
        raise InvalidPayload(f"format: {format_} is for flashcards. A {made.kind} is exported as md or json.")
    if format_ == "csv":
        return StudyFile(_csv(made), "text/csv; charset=utf-8", "csv")
    return StudyFile(_anki(made, title, document_id), "application/octet-stream", "apkg")


def _markdown(made: Made, title: str) -> str:
    lines = [f"# {escape_line(title)}", ""]
    if isinstance(made, Summary):
        lines += _summary(made)
    elif isinstance(made, Flashcards):
        for card in made.cards:
            lines += [f"**{escape_line(card.front)}**", "", escape_line(card.back), "", *_quotes(card.citations)]
    else:
        for number, question in enumerate(made.questions, 1):
            lines += [f"{number}. **{escape_line(question.question)}**", "", *_answers(question)]
            lines += [f"   {line}" if line else "" for line in _quotes(question.citations)]
    return "\n".join(lines).rstrip() + "\n"


def _summary(made: Summary) -> Iterable[str]:
    for section in made.sections:
        if section.heading is not None or len(made.sections) > 1:
            pages = _pages(section.first_page, section.last_page)
            yield f"## {escape_line(section.heading)} ({pages})" if section.heading else f"## {pages.capitalize()}"
            yield ""
        for point in section.points:
            yield f"- {escape_line(point.text)}"
            yield from (f"  {line}" if line else "" for line in _quotes(point.citations))


def _answers(question: QuizQuestion) -> Iterable[str]:
    for option in question.options:
        explanation = escape_line(option.explanation)
        yield f"   - [{'x' if option.correct else ' '}] {escape_line(option.text)}: {explanation}"
    if question.answer is not None:
        yield f"   {escape_line(question.answer)}"
        yield f"   {escape_line(question.explanation or '')}"
    yield ""


def _quotes(citations: Iterable[Citation]) -> Iterable[str]:
    for each in citations:
        yield f"> {escape_line(each.quote)} (page {each.page_number})"
    yield ""


def _pages(first: int, last: int) -> str:
    return f"page {first}" if first == last else f"pages {first}–{last}"


def _source(citations: Iterable[Citation]) -> str:
    return "; ".join(f"{each.quote} (page {each.page_number})" for each in citations)


def _csv(made: Flashcards) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(["front", "back", "difficulty", "source"])
    for card in made.cards:
        cells = (card.front, card.back, card.difficulty, _source(card.citations))
        rows.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    # With a mark, or spreadsheets take it for another encoding.
    return out.getvalue().encode("utf-8-sig", "replace")


def _anki(made: Flashcards, title: str, document_id: str) -> bytes:
    deck = genanki.Deck(_number(document_id), title.replace("::", ":") or "Quire")
    text: Callable[[str], str] = html.escape
    for card in made.cards:
        # Imported again, a card is the same one: what was learnt is kept.
        guid = genanki.guid_for(document_id, card.front)
        fields = [text(card.front), text(card.back), text(_source(card.citations))]
        deck.add_note(genanki.Note(model=_MODEL, fields=fields, guid=guid, tags=[card.difficulty]))
    with tempfile.TemporaryDirectory(prefix="quire-") as folder:
        path = Path(folder) / "cards.apkg"
        genanki.Package(deck).write_to_file(str(path))
        return path.read_bytes()


def _number(text: str) -> int:
    """A number that follows from a text, of a size that Anki takes for an id."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % (1 << 30) + (1 << 30)
