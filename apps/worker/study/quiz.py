"""Quizzes."""

from __future__ import annotations

from functools import partial
from typing import Final

from quire.contracts import QuestionKind, QuizOptions
from quire.study_aids import Quiz, QuizOption, QuizQuestion
from study import prompts
from study.answers import AnswerModel, Quote, clean
from study.grounding import Grounding
from study.making import Checked, Maker, Rejected, merged, shares
from study.windows import Window

# How many options a kind has at least and at most, and how many of them are right.
_OPTIONS: Final[dict[QuestionKind, tuple[range, range]]] = {
    "single_choice": (range(2, 7), range(1, 2)),
    "multiple_choice": (range(2, 9), range(1, 9)),
    "true_false": (range(2, 3), range(1, 2)),
}


class Choice(AnswerModel):
    """An option as the model gives it."""

    text: str
    explanation: str


class Question(AnswerModel):
    """A question as the model gives it. What its kind does not have is empty."""

    kind: QuestionKind
    question: str
    options: list[Choice]
    correct_options: list[str]
    answer: str
    explanation: str
    quotes: list[Quote]


class Questions(AnswerModel):
    """The model's answer."""

    questions: list[Question]


def make_quiz(maker: Maker, options: QuizOptions) -> Quiz:
    """At most `options.count` questions over the whole document.

    Raises:
        NoText: the document has none.
        QuireError: what `Maker.ask` raises.
    """

    def work(share: tuple[Window, int]) -> Checked[QuizQuestion]:
        window, count = share
        prompt = partial(prompts.quiz, options=options, count=count)
        check = partial(_check, kinds=options.kinds)
        return maker.items(window, count, prompt, Questions, lambda answer: answer.questions, check, _key, QuizQuestion)

    found = merged(maker.over(shares(maker.windows(), options.count), work), options.count, _key)
    return Quiz(questions=tuple(found.items), dropped=found.dropped)


def _check(asked: Question, grounding: Grounding, kinds: tuple[QuestionKind, ...]) -> QuizQuestion | Rejected:
    question = clean(asked.question)
    if not question or asked.kind not in kinds:
        return Rejected("incomplete", question)
    made = _short_answer(asked, question) if asked.kind == "short_answer" else _choice(asked, question)
    if isinstance(made, Rejected):
        return made
    citations = grounding.cite_all([(each.page, each.quote) for each in asked.quotes])
    if citations is None:
        return Rejected("quote_not_found", question)
    options, answer = made
    explanation = clean(asked.explanation) or None if answer is not None else None
    return QuizQuestion(
        kind=asked.kind,
        question=question,
        options=options,
        answer=answer,
        explanation=explanation,
        citations=citations,
    )


def _short_answer(asked: Question, question: str) -> tuple[tuple[QuizOption, ...], str | None] | Rejected:
    answer = clean(asked.answer)
    return ((), answer) if answer and clean(asked.explanation) else Rejected("incomplete", question)


def _choice(asked: Question, question: str) -> tuple[tuple[QuizOption, ...], str | None] | Rejected:
    texts = [clean(each.text) for each in asked.options]
    correct = {clean(each).casefold() for each in asked.correct_options}
    known = {text.casefold() for text in texts}
    how_many, how_many_correct = _OPTIONS[asked.kind]
    if not all(texts) or len(known) != len(texts) or not all(clean(each.explanation) for each in asked.options):
        return Rejected("incomplete", question)
    if not correct <= known or len(correct) not in how_many_correct or len(texts) not in how_many:
        return Rejected("answer_not_in_options", question)
    options = tuple(
        QuizOption(text=text, correct=text.casefold() in correct, explanation=clean(each.explanation))
        for text, each in zip(texts, asked.options, strict=True)
    )
    return options, None


def _key(question: QuizQuestion) -> str:
    return question.question
