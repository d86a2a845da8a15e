"""Language codes and how hints join the default."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocr.languages import language_code, merge_languages


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        (" en ", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("English", "en"),
        ("de", "german"),
        ("de-AT", "german"),
        ("german", "german"),
        ("fr-CA", "fr"),
        ("pt-BR", "pt"),
        ("zh", "ch"),
        ("zh-CN", "ch"),
        ("zh-TW", "chinese_cht"),
        ("zh-Hant", "chinese_cht"),
        ("chinese_cht", "chinese_cht"),
        ("ja", "japan"),
        ("ko-KR", "korean"),
        ("rs_latin", "rs_latin"),
        ("rs_cyrillic", "rs_cyrillic"),
        ("ru", "ru"),
        ("xx", "xx"),
    ],
)
def test_a_language_is_known_by_its_usual_spellings(written, code):
    assert language_code(written) == code


@example("0 _")
@given(st.text(max_size=12))
def test_a_code_is_its_own_code(language):
    code = language_code(language)
    assert language_code(code) == code


def test_hints_come_before_the_default():
    assert merge_languages("en", ["fr", "de"]) == ("fr", "german", "en")


def test_without_hints_there_is_the_default():
    assert merge_languages("en-US", []) == ("en",)


def test_each_language_is_there_once():
    assert merge_languages("en", ["de", "German", "en-GB", "de-AT"]) == ("german", "en")


def test_an_empty_hint_is_none():
    assert merge_languages("en", ["", " ", "-"]) == ("en",)
