"""Finds quotes in what was read, and the boxes of their words.

A quote is compared letter by letter, without case, accents, punctuation and white space: OCR is unsure of these. It may
differ in a few letters, but not in a digit and not by a word: `not` is as long as a few mistakes. What is cited is the
document's text where the quote was found, so that a citation is never what a model would have liked to read.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Final

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from quire.contracts import Box, PageText
from quire.study_aids import Citation

# Letters and digits that a quote needs to mean anything; one that short has to be there as it is.
_LEAST_LETTERS: Final = 3
_SHORT_LETTERS: Final = 12
# Of 100, for longer ones.
_LEAST_LIKENESS: Final = 88.0
# Signs that OCR takes for each other: a model may have put such a mistake right.
_LOOKALIKES: Final = ("0oqdc", "1iltj", "2z", "5s", "6bg", "8b", "9gq", "4a", "7t")


@dataclass(frozen=True)
class _Word:
    text: str
    box: Box
    line: int


@dataclass(frozen=True)
class _Letters:
    """A text folded: its letters, and where each of its words ends among them."""

    letters: str
    ends: tuple[int, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> _Letters:
        folded = [fold(word) for word in words]
        return cls("".join(folded), tuple(accumulate(map(len, folded))))

    def part(self, start: int, end: int) -> _Letters:
        ends = [each - start for each in self.ends if start < each < end]
        return _Letters(self.letters[start:end], (*ends, end - start))


@dataclass(frozen=True)
class _Span:
    """Letters `start` to `end` of a page, and how much they are like the quote: 100 is equal."""

    start: int
    end: int
    likeness: float


class PageIndex:
    """A page's words, to find quotes in."""

    def __init__(self, page: PageText) -> None:
        self.number = page.page_number
        self._line_boxes = [found.box for found in page.detections]
        self._words = list(_words_of(page))
        self._text = _Letters.of(word.text for word in self._words)
        self._letters, self._ends = self._text.letters, self._text.ends
        self._words_in_line = {line: len(list(words)) for line, words in groupby(self._words, key=lambda w: w.line)}

    def find(self, wanted: _Letters) -> _Span | None:
        """Where the page has a quote: the first place where it does so as it is, else the likeliest."""
        quote = wanted.letters
        at = self._letters.find(quote)
        while at >= 0:
            if self._at_words(at, at + len(quote)) or len(quote) >= _SHORT_LETTERS:
                return _Span(at, at + len(quote), 100.0)
            at = self._letters.find(quote, at + 1)
        if len(quote) < _SHORT_LETTERS or len(quote) > len(self._letters):
            return None
        found = fuzz.partial_ratio_alignment(quote, self._letters, score_cutoff=_LEAST_LIKENESS)
        if found is None:
            return None
        span = self._grown(found.dest_start, found.dest_end)
        return span if _means_the_same(wanted, self._text.part(span.start, span.end)) else None

    def cite(self, span: _Span) -> Citation:
        """The words of which a span has at least half the letters."""
        chosen = [word for index, word in enumerate(self._words) if self._is_half_in(index, span)]
        boxes: list[Box] = []
        for line, words in groupby(chosen, key=lambda word: word.line):
            row = list(words)
            whole = len(row) == self._words_in_line[line] and line < len(self._line_boxes)
            boxes += [self._line_boxes[line]] if whole else [word.box for word in row]
        return Citation(
            page_number=self.number, quote=" ".join(word.text for word in chosen), boxes=tuple(dict.fromkeys(boxes))
        )

    def _is_half_in(self, index: int, span: _Span) -> bool:
        start, end = self._start(index), self._ends[index]
        inside = min(end, span.end) - max(start, span.start)
        if end > start:
            return 2 * inside >= end - start and inside > 0
        # Punctuation by itself, between two words of the quote.
        return span.start < start < span.end

    def _start(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

    def _at_words(self, start: int, end: int) -> bool:
        """Whether words begin and end at these letters: a short quote must not be a part of something else."""
        return (start == 0 or start in self._ends) and end in self._ends

    def _grown(self, start: int, end: int) -> _Span:
        """Letters with the rest of the words that they begin and end in: a number is compared as a whole."""
        first = bisect_right(self._ends, start)
        last = bisect_right(self._ends, end - 1)
        begin, stop = self._start(first), self._ends[last]
        # Half a word or less is a neighbour's.
        if start - begin > (self._ends[first] - begin) / 2:
            begin = self._ends[first]
        if stop - end > (stop - self._start(last)) / 2:
            stop = self._start(last)
        return _Span(begin, max(begin, stop), 0.0)


class Grounding:
    """Quotes in some pages of a document."""

    def __init__(self, pages: Iterable[PageText]) -> None:
        self._pages = [PageIndex(page) for page in pages]

    def cite(self, quote: str, page_number: int) -> Citation | None:
        """The place of a quote: on the page it is said to be on, else on another one; None if it is on none."""
        wanted = _Letters.of(quote.split())
        if len(wanted.letters) < _LEAST_LETTERS:
            return None
        # Models count pages wrong more often than they misquote.
        for page in sorted(self._pages, key=lambda page: abs(page.number - page_number)):
            span = page.find(wanted)
            if span is not None and span.end > span.start:
                return page.cite(span)
        return None

    def cite_all(self, quotes: Sequence[tuple[int, str]]) -> tuple[Citation, ...] | None:
        """The places of all quotes, by page; None if one of them is not there: then what it proves is in doubt."""
        found: list[Citation] = []
        for number, quote in quotes:
            citation = self.cite(quote, number)
            if citation is None:
                return None
            if citation not in found:
                found.append(citation)
        return tuple(sorted(found, key=lambda each: each.page_number)) or None

    def has(self, text: str) -> bool:
        """Whether a text is on one of the pages."""
        return self.cite(text, 0) is not None


def fold(text: str) -> str:
    """The letters and digits of a text, without case and accents. What OCR reads for m is m."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(each for each in unicodedata.normalize("NFKD", decomposed) if each.isalnum()).replace("rn", "m")


def _words_of(page: PageText) -> Iterable[_Word]:
    """The words of each line; those of a line whose words are not known have its box."""
    by_line: dict[int, list[_Word]] = {}
    for word in page.words:
        by_line.setdefault(word.line, []).append(_Word(word.text, word.box, word.line))
    for line, found in enumerate(page.detections):
        known = by_line.get(line, [])
        if known and fold("".join(word.text for word in known)) == fold(found.text):
            yield from known
        else:
            yield from (_Word(text, found.box, line) for text in found.text.split())


def _means_the_same(quote: _Letters, text: _Letters) -> bool:
    """Whether a quote differs from the document's text as OCR and its correction do, and not in what it says."""
    if fuzz.ratio(quote.letters, text.letters) < _LEAST_LIKENESS:
        return False
    wrong_in_quote: list[int] = []
    wrong_in_text: list[int] = []
    for change in Levenshtein.editops(quote.letters, text.letters):
        one = quote.letters[change.src_pos : change.src_pos + 1] if change.tag != "insert" else ""
        other = text.letters[change.dest_pos : change.dest_pos + 1] if change.tag != "delete" else ""
        if one and other and _look_alike(one, other):
            continue
        if one.isdigit() or other.isdigit():
            return False
        wrong_in_quote += [change.src_pos] if one else []
        wrong_in_text += [change.dest_pos] if other else []
    return _is_every_word_there(quote, wrong_in_quote) and _is_every_word_there(text, wrong_in_text)


def _is_every_word_there(text: _Letters, wrong: Sequence[int]) -> bool:
    """Whether of each word more than half the letters are right, and never two in a row are wrong."""
    if any(later - earlier == 1 for earlier, later in pairwise(wrong)):
        return False
    start = 0
    for end in text.ends:
        if 2 * sum(start <= at < end for at in wrong) >= end - start > 0:
            return False
        start = end
    return True


def _look_alike(one: str, other: str) -> bool:
    if one.isdigit() and other.isdigit():
        return False
    return any(one in group and other in group for group in _LOOKALIKES)
