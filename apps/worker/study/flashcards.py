"""Flashcards."""

from __future__ import annotations

from functools import partial
from typing import Literal

from quire.contracts import FlashcardOptions
from quire.study_aids import Flashcard, Flashcards
from study import prompts
from study.answers import AnswerModel, Quote, clean
from study.grounding import Grounding
from study.making import Checked, Maker, Rejected, merged, shares
from study.windows import Window


class Card(AnswerModel):
    """A card as the model gives it."""

    front: str
    back: str
    difficulty: Literal["easy", "medium", "hard"]
    quotes: list[Quote]


class Cards(AnswerModel):
    """The model's answer."""

    cards: list[Card]


def make_flashcards(maker: Maker, options: FlashcardOptions) -> Flashcards:
    """At most `options.count` cards over the whole document.

    Raises:
        NoText: the document has none.
        QuireError: what `Maker.ask` raises.
    """

    def work(share: tuple[Window, int]) -> Checked[Flashcard]:
        window, count = share
        prompt = partial(prompts.flashcards, options=options, count=count)
        return maker.items(window, count, prompt, Cards, lambda answer: answer.cards, _check, _key, Flashcard)

    found = merged(maker.over(shares(maker.windows(), options.count), work), options.count, _key)
    return Flashcards(cards=tuple(found.items), dropped=found.dropped)


def _check(card: Card, grounding: Grounding) -> Flashcard | Rejected:
    front, back = clean(card.front), clean(card.back)
    if not front or not back:
        return Rejected("incomplete", front or back)
    citations = grounding.cite_all([(each.page, each.quote) for each in card.quotes])
    if citations is None:
        return Rejected("quote_not_found", front)
    return Flashcard(front=front, back=back, difficulty=card.difficulty, citations=citations)


def _key(card: Flashcard) -> str:
    return card.front
