"""Quotes are found where they are, with the boxes of their words, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire.study_aids import Citation
from study.grounding import Grounding, fold
from tests.study_documents import box_of, page_of

LINES = [
    "The agreement between the two parties of",
    "Example Street ends on 31 March 2027 unless it",
    "is renewed in writing. The fee is 1,250.00 EUR",
    "per month. It is not refundable in any case.",
]
GROUNDING = Grounding([page_of(1, ["Nothing of interest here"]), page_of(2, LINES), page_of(3, ["TOTAL 9.50"])])


def cite(quote: str, page: int = 2) -> Citation | None:
    return GROUNDING.cite(quote, page)


def test_a_quote_is_cited_with_the_boxes_of_its_words():
    found = cite("The fee is 1,250.00 EUR")
    assert found is not None
    assert (found.page_number, found.quote) == (2, "The fee is 1,250.00 EUR")
    assert found.boxes == tuple(box_of(*part, 2) for part in ((23, 26), (27, 30), (31, 33), (34, 42), (43, 46)))


def test_a_line_that_is_quoted_as_a_whole_has_one_box():
    found = cite("ends on 31 March 2027 unless it is renewed in writing. The fee is 1,250.00 EUR per")
    assert found is not None
    assert found.quote.startswith("ends on 31 March 2027 unless it is renewed")
    assert box_of(0, len(LINES[2]), 2) in found.boxes
    assert box_of(0, len(LINES[1]), 1) not in found.boxes
    assert found.boxes[-1] == box_of(0, 3, 3)


def test_a_line_whose_words_are_not_known_is_cited_as_a_whole():
    found = Grounding([page_of(1, LINES, words=False)]).cite("The fee is 1,250.00 EUR", 1)
    assert found is not None
    assert found.boxes == (box_of(0, len(LINES[2]), 2),)
    assert found.quote == "The fee is 1,250.00 EUR"


@pytest.mark.parametrize(
    "quote",
    [
        "the FEE is 1.250,00 EUR",
        "The fee is 1,250.00\nEUR per month",
        "agreement between the two part1es of Examp1e Street",
        "agreernent between the two parties of Example",
        "It is not refundab|e in any case.",
        "“is renewed in writing”",
        "TOTAL 9.50",
    ],
)
def test_mistakes_of_ocr_and_punctuation_do_not_matter(quote: str):
    assert cite(quote) is not None


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "—",
        "…",
        "is",
        "The fee is 1,260.00 EUR",
        "ends on 31 March 2029 unless it is renewed",
        "ends on 31 March 202 unless it is renewed",
        "per month. It is refundable in any case.",
        "unless it is not renewed in writing. The fee",
        "The agreement can be ended by either party at any time",
        "The agreement between the three parties of Example Street",
        "TOTAL 9.5",
        "OTAL 9.50",
        "31 March 2027 … The fee is 1,250.00 EUR",
        " ".join(LINES) + " And more than there is on any of these pages.",
    ],
)
def test_what_is_not_there_is_not_cited(quote: str):
    assert cite(quote) is None


def test_a_wrong_page_number_is_put_right():
    found = cite("TOTAL 9.50", 1)
    assert found is not None
    assert found.page_number == 3
    assert cite("TOTAL 9.50", -7) is not None


def test_one_quote_that_is_not_there_is_one_too_many():
    assert GROUNDING.cite_all([(2, "The fee is 1,250.00 EUR"), (2, "The fee may rise at any time")]) is None
    assert GROUNDING.cite_all([]) is None
    both = GROUNDING.cite_all([(3, "TOTAL 9.50"), (2, "The fee is 1,250.00 EUR"), (2, "the fee is 1,250.00 eur")])
    assert both is not None
    assert [each.page_number for each in both] == [2, 3]


def test_text_without_spaces_is_found():
    grounding = Grounding([page_of(1, ["本契約は二〇二七年三月三十一日に終了する", "料金は月額千円とする"])])
    found = grounding.cite("料金は月額千円とする", 1)
    assert found is not None
    assert found.boxes == (box_of(0, 10, 1),)


@given(st.integers(0, 3), st.data())
@settings(max_examples=60, deadline=None)
def test_boxes_cover_the_quoted_words_and_no_others(line: int, data: st.DataObject):
    words = LINES[line].split()
    start = data.draw(st.integers(0, len(words) - 3))
    end = data.draw(st.integers(start + 3, len(words)))
    quote = " ".join(words[start:end])
    found = cite(quote)
    assert found is not None
    assert fold(found.quote) == fold(quote)
    left, right = min(box[0][0] for box in found.boxes), max(box[1][0] for box in found.boxes)
    at = LINES[line].index(quote)
    assert (left, right) == (at * 10.0, (at + len(quote)) * 10.0)
    assert {box[0][1] for box in found.boxes} == {line * 20.0}
