"""What study aids look like: each of their items says where in the document it comes from.

A citation's quote is the document's own text, as it was read; its boxes cover that text and nothing else, in pixels of
the page's image (`quire.contracts`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from quire.contracts import Box, Contract, QuestionKind


class Citation(Contract):
    """Words on one page: boxes of whole lines, and of single words where a line is not quoted as a whole."""

    page_number: int = Field(ge=1)
    quote: str
    boxes: tuple[Box, ...] = Field(min_length=1)


class Cited(Contract):
    """Base of everything that is shown: there is nothing without a citation."""

    citations: tuple[Citation, ...] = Field(min_length=1)


class SummaryPoint(Cited):
    """A sentence or two of a summary."""

    text: str


class SummarySection(Contract):
    """Points about some pages. `heading` is one that the document has itself, or None."""

    heading: str | None = None
    first_page: int = Field(ge=1)
    last_page: int = Field(ge=1)
    points: tuple[SummaryPoint, ...]


class Flashcard(Cited):
    """A question and its answer."""

    front: str
    back: str
    difficulty: Literal["easy", "medium", "hard"]


class QuizOption(Contract):
    """A possible answer, and why it is right or wrong."""

    text: str
    correct: bool
    explanation: str


class QuizQuestion(Cited):
    """A question. One of the kind `short_answer` has no options; `answer` is its answer, else None."""

    kind: QuestionKind
    question: str
    options: tuple[QuizOption, ...] = ()
    answer: str | None = None
    explanation: str | None = None


class Dropped(Contract):
    """Items that the model gave and that are not shown, by reason, and how often it was asked to replace some."""

    quote_not_found: int = 0
    duplicate: int = 0
    answer_not_in_options: int = 0
    incomplete: int = 0
    asked_again: int = 0

    def plus(self, other: Dropped) -> Dropped:
        """The sums of both."""
        return Dropped(**{name: getattr(self, name) + getattr(other, name) for name in Dropped.model_fields})


# Why items are not shown: the other fields of `Dropped` are no reasons.
DROP_REASONS: Final = ("quote_not_found", "duplicate", "answer_not_in_options", "incomplete")


class Summary(Contract):
    """A summary. Only one in the style `sections` has more than one section."""

    kind: Literal["summary"] = "summary"
    sections: tuple[SummarySection, ...]
    dropped: Dropped


class Flashcards(Contract):
    """Cards, in the order of the document."""

    kind: Literal["flashcards"] = "flashcards"
    cards: tuple[Flashcard, ...]
    dropped: Dropped


class Quiz(Contract):
    """Questions, in the order of the document."""

    kind: Literal["quiz"] = "quiz"
    questions: tuple[QuizQuestion, ...]
    dropped: Dropped


StudyAid = Annotated[Summary | Flashcards | Quiz, Field(discriminator="kind")]
STUDY_AID: TypeAdapter[Summary | Flashcards | Quiz] = TypeAdapter(StudyAid)
