"""The score that `make bench` reports, and the ground truth it is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.receipts import ReceiptsMissing, find_receipts, read_truth
from benchmarks.word_f1 import WordScore, words


def test_words_are_runs_of_letters_and_digits_in_upper_case():
    assert words("Total: 1,284.50 eur\nNO.53-A") == {
        "TOTAL": 1,
        "1": 1,
        "284": 1,
        "50": 1,
        "EUR": 1,
        "NO": 1,
        "53": 1,
        "A": 1,
    }


def test_words_counts_repetitions():
    assert words("tea TEA Tea") == {"TEA": 3}


@pytest.mark.parametrize("text", ["", "  \n", "—…!", "日本語"])
def test_words_of_text_without_letters_or_digits(text):
    assert not words(text)


def test_same_words_score_one_whatever_their_order_case_and_punctuation():
    score = WordScore.of_page("9.00 total\nCafe", "CAFE, TOTAL: 9,00")
    assert (score.precision, score.recall, score.f1) == (1, 1, 1)


def test_nothing_in_common_scores_zero():
    score = WordScore.of_page("one two", "three")
    assert (score.precision, score.recall, score.f1) == (0, 0, 0)


def test_a_word_read_twice_that_is_there_once_matches_once():
    assert WordScore.of_page("TOTAL TOTAL", "TOTAL") == WordScore(matched=1, read=2, expected=1)


def test_a_word_read_once_that_is_there_twice_matches_once():
    assert WordScore.of_page("TOTAL", "TOTAL TOTAL") == WordScore(matched=1, read=1, expected=2)


def test_precision_recall_and_f1():
    score = WordScore.of_page("A B C D", "A B X")
    assert score == WordScore(matched=2, read=4, expected=3)
    assert score.precision == 1 / 2
    assert score.recall == 2 / 3
    assert score.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))


def test_pages_are_compared_one_by_one_and_their_counts_summed():
    # On one page these words would all match.
    assert WordScore.of_pages([("A", "B"), ("B", "A")]).f1 == 0
    assert WordScore.of_pages([("A B", "A"), ("C", "C D D")]) == WordScore(matched=2, read=3, expected=4)


def test_a_long_page_weighs_more_than_a_short_one():
    score = WordScore.of_pages([("A " * 9, "A " * 9), ("B", "C")])
    assert score.f1 == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("read", "truth", "precision", "recall", "f1"),
    [("", "", 1, 1, 1), ("", "A", 1, 0, 0), ("A", "", 0, 1, 0)],
)
def test_empty_pages(read, truth, precision, recall, f1):
    score = WordScore.of_page(read, truth)
    assert (score.precision, score.recall, score.f1) == (precision, recall, f1)


def test_no_pages_at_all():
    assert WordScore.of_pages([]) == WordScore(0, 0, 0)


def test_ground_truth_may_contain_commas_and_may_be_empty(tmp_path: Path):
    boxes = tmp_path / "000.csv"
    boxes.write_text("1,2,3,4,5,6,7,8,NO.53 55,57 & 59, JALAN\n\n1,2,3,4,5,6,7,8,\n1,2,3,4,5,6,7,8,TOTAL\n")
    assert read_truth(boxes) == "NO.53 55,57 & 59, JALAN\n\nTOTAL"


def test_receipts_are_found_by_name_with_their_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in ("img", "box"):
        (tmp_path / "receipts" / folder).mkdir(parents=True)
    for name in ("002", "000", "001"):
        (tmp_path / "receipts" / "img" / f"{name}.jpg").touch()
        (tmp_path / "receipts" / "box" / f"{name}.csv").write_text(f"0,0,9,0,9,9,0,9,N{name}\n")
    monkeypatch.setenv("QUIRE_TEST_DATA", str(tmp_path))
    assert [(receipt.name, receipt.truth) for receipt in find_receipts(2)] == [("000", "N000"), ("001", "N001")]
    assert len(find_receipts()) == 3


def test_missing_receipts_say_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUIRE_TEST_DATA", str(tmp_path))
    with pytest.raises(ReceiptsMissing, match=r"receipts.*QUIRE_TEST_DATA"):
        find_receipts()
