"""Summaries. Of a long document each window is summarised, and then the points that were made of them.

A point that is made of others has their citations: what is said in the end is still said of words in the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Final

from quire.contracts import SummaryOptions
from quire.errors import LlmFailed
from quire.study_aids import Citation, Dropped, Summary, SummaryPoint, SummarySection
from study import prompts
from study.answers import AnswerModel, Quote, clean
from study.grounding import Grounding
from study.making import Checked, Maker, Rejected, merged
from study.windows import Window, estimate_tokens, window_tokens

# Points of a summary, of one window, and of several windows put together.
_POINTS: Final = {"short": 5, "bullets": 10, "sections": 40}
_NOTES: Final = 6
_KEPT_NOTES: Final = 20
_SOURCES: Final = 4


class Point(AnswerModel):
    """A point as the model gives it; `heading` is that of its section, or empty."""

    heading: str
    text: str
    quotes: list[Quote]


class Points(AnswerModel):
    """The model's answer about pages."""

    points: list[Point]


class Chosen(AnswerModel):
    """A point that is made of others, by their numbers from 1."""

    text: str
    sources: list[int]


class Choice(AnswerModel):
    """The model's answer about points."""

    points: list[Chosen]


class _Headed(SummaryPoint):
    """A point and its section's heading, None where the document has no such words."""

    heading: str | None


def make_summary(maker: Maker, options: SummaryOptions) -> Summary:
    """A summary of the whole document.

    Raises:
        NoText: the document has none.
        QuireError: what `Maker.ask` raises.
    """
    windows = maker.windows()
    is_part = len(windows) > 1
    count = _NOTES if is_part and options.style != "sections" else _POINTS[options.style]

    def work(window: Window) -> Checked[_Headed]:
        prompt = partial(prompts.summary, options=options, count=count, part=is_part)
        return maker.items(window, count, prompt, Points, lambda answer: answer.points, _check, _key, _Headed)

    found = merged(maker.over(windows, work), len(windows) * count, _key)
    if options.style == "sections":
        return Summary(sections=tuple(_sections(found.items)), dropped=found.dropped)
    points: Checked[SummaryPoint] = Checked(
        [SummaryPoint(text=each.text, citations=each.citations) for each in found.items], found.dropped
    )
    if is_part:
        points = _put_together(maker, options, points)
    section = SummarySection(
        first_page=windows[0].first_page, last_page=windows[-1].last_page, points=tuple(points.items)
    )
    return Summary(sections=(section,), dropped=points.dropped)


def _check(point: Point, grounding: Grounding) -> _Headed | Rejected:
    text = clean(point.text)
    if not text:
        return Rejected("incomplete", text)
    citations = grounding.cite_all([(each.page, each.quote) for each in point.quotes])
    if citations is None:
        return Rejected("quote_not_found", text)
    heading = clean(point.heading)
    return _Headed(text=text, citations=citations, heading=heading if grounding.has(heading) else None)


def _key(point: SummaryPoint) -> str:
    return point.text


def _sections(points: Sequence[_Headed]) -> list[SummarySection]:
    sections = []
    for heading, group in groupby(points, key=lambda point: point.heading):
        members = list(group)
        numbers = [each.page_number for point in members for each in point.citations]
        sections.append(
            SummarySection(
                heading=heading,
                first_page=min(numbers),
                last_page=max(numbers),
                points=tuple(SummaryPoint(text=each.text, citations=each.citations) for each in members),
            )
        )
    return sections


def _put_together(maker: Maker, options: SummaryOptions, points: Checked[SummaryPoint]) -> Checked[SummaryPoint]:
    """The points that matter most of all; of so many that they fit into no request, groups first."""
    while len(groups := _groups(points.items, window_tokens(maker.settings))) > 1:
        chosen = maker.over(groups, lambda group: _choose(maker, options, group, "notes", _KEPT_NOTES))
        dropped = points.dropped
        for each in chosen:
            dropped = dropped.plus(each.dropped)
        points = Checked([point for each in chosen for point in each.items], dropped)
    if not points.items:
        return points
    chosen_of_all = _choose(maker, options, points.items, options.style, _POINTS[options.style])
    return Checked(chosen_of_all.items, points.dropped.plus(chosen_of_all.dropped))


def _groups(points: Sequence[SummaryPoint], most: int) -> list[list[SummaryPoint]]:
    """Neighbouring points as they fit into requests. Each has more than are kept of it, so that there is an end."""
    groups: list[list[SummaryPoint]] = [[]]
    tokens = 0
    for point in points:
        cost = estimate_tokens(point.text) + 8
        if tokens + cost > most and len(groups[-1]) > 2 * _KEPT_NOTES:
            groups.append([])
            tokens = 0
        groups[-1].append(point)
        tokens += cost
    return groups


def _choose(
    maker: Maker, options: SummaryOptions, points: Sequence[SummaryPoint], style: str, count: int
) -> Checked[SummaryPoint]:
    answer = maker.ask(prompts.choose([each.text for each in points], style, count, options.language), Choice)
    made: list[SummaryPoint] = []
    for chosen in answer.points:
        text = clean(chosen.text)
        sources = list(dict.fromkeys(chosen.sources))[:_SOURCES]
        if not text or not sources or not all(1 <= number <= len(points) for number in sources):
            continue
        cited = dict.fromkeys(each for number in sources for each in points[number - 1].citations)
        made.append(SummaryPoint(text=text, citations=_in_order(cited)))
    if not made:
        raise LlmFailed("The model's answers could not be used: none says what it is made of. Try again.")
    dropped = Dropped(incomplete=len(answer.points) - len(made))
    return Checked(made[:count], dropped)


def _in_order(citations: dict[Citation, None]) -> tuple[Citation, ...]:
    return tuple(sorted(citations, key=lambda each: each.page_number))
