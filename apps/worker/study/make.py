"""The one way in: a kind and options to a study aid."""

from __future__ import annotations

from quire.contracts import FlashcardOptions, QuizOptions, SummaryOptions
from quire.study_aids import Flashcards, Quiz, Summary
from study.flashcards import make_flashcards
from study.making import Maker
from study.quiz import make_quiz
from study.summary import make_summary


def make(maker: Maker, options: SummaryOptions | FlashcardOptions | QuizOptions) -> Summary | Flashcards | Quiz:
    """The study aid that these options ask for.

    Raises:
        NoText: the document has none.
        GiveWay, LlmBudgetExceeded: see `Steps.begin_request`.
        QuireError: see `LlmClient.ask`.
    """
    if isinstance(options, SummaryOptions):
        return make_summary(maker, options)
    if isinstance(options, FlashcardOptions):
        return make_flashcards(maker, options)
    return make_quiz(maker, options)
