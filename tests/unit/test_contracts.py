"""The public shapes: what they refuse, and that they survive JSON."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from quire.contracts import (
    Contract,
    Detection,
    DiagnosticsResult,
    EchoPayload,
    NoPayload,
    OcrOptions,
    OcrPagePayload,
    OcrPayload,
    OcrResult,
    PageError,
    PageText,
    ReconcileResult,
    Word,
)

DOCUMENT = UUID("018f0000-0000-7000-8000-000000000001")
BOX = ((1.5, 2.0), (30.25, 2.0), (30.25, 14.0), (1.5, 14.0))
DETECTION = Detection(text="Total 1,284.50 €", box=BOX, confidence=0.987, page_number=2)
WORD = Word(text="Total", box=BOX, confidence=0.98, line=0)
PAGE = PageText(
    page_number=2,
    width=1240,
    height=1754,
    dpi=150.0,
    rotation=90,
    source="ocr",
    engine="paddleocr 3",
    text="Total 1,284.50 €",
    detections=(DETECTION,),
    words=(WORD,),
    confidence=0.987,
    timings={"render": 12.5},
)

OPTIONS = st.builds(
    OcrOptions,
    pages=st.sampled_from([None, "1", "1-3,7", "5-"]),
    lang_hints=st.lists(st.sampled_from(["en", "fr", "de"]), max_size=3).map(tuple),
    text_layer=st.sampled_from(["auto", "never", "only"]),
    dpi=st.none() | st.integers(36, 600),
    min_confidence=st.none() | st.floats(0, 1),
)


def every_contract() -> list[Contract]:
    return [
        OcrOptions(pages="1-3", lang_hints=("fr",), text_layer="never", dpi=300, min_confidence=0.25),
        OcrPayload(key="a/b.pdf", bucket="in", document_id=DOCUMENT, page_number=3, lang_hints=("en", "fr")),
        OcrPagePayload(key="a/b.pdf", page_number=3),
        EchoPayload(payload={"hello": ["world", 1, None, 2.5]}),
        NoPayload(),
        DETECTION,
        WORD,
        PAGE,
        PageError(page_number=1, code="corrupt", message="Page 1 is damaged."),
        OcrResult(status="partial", document_id=DOCUMENT, page_count=2, detections=(DETECTION,), pages=(PAGE,)),
        ReconcileResult(pages_failed=1, tickets_issued=2),
        DiagnosticsResult(versions={"quire": "1", "cuda": None}, services={}, settings={}, gpu={}, models={}),
    ]


@pytest.mark.parametrize("contract", every_contract(), ids=lambda contract: type(contract).__name__)
def test_a_contract_survives_json(contract):
    assert type(contract).model_validate(json.loads(json.dumps(contract.model_dump(mode="json")))) == contract


@pytest.mark.parametrize("contract", every_contract(), ids=lambda contract: type(contract).__name__)
def test_a_contract_survives_json_without_what_has_no_value(contract):
    data = contract.model_dump(mode="json", exclude_none=True)
    assert type(contract).model_validate(json.loads(json.dumps(data))) == contract


@pytest.mark.parametrize("contract", every_contract(), ids=lambda contract: type(contract).__name__)
def test_an_unknown_field_is_refused_by_name(contract):
    with pytest.raises(ValidationError) as refused:
        type(contract).model_validate(contract.model_dump() | {"no_such_field": 1})
    (issue,) = refused.value.errors()
    assert (issue["type"], issue["loc"]) == ("extra_forbidden", ("no_such_field",))


@pytest.mark.parametrize("contract", every_contract(), ids=lambda contract: type(contract).__name__)
def test_a_contract_cannot_be_changed(contract):
    name = next(iter(type(contract).model_fields), "anything")
    with pytest.raises(ValidationError):
        setattr(contract, name, None)


@given(OPTIONS)
def test_equal_options_have_equal_digests(options):
    again = OcrOptions.model_validate(json.loads(options.model_dump_json()))
    assert again.digest() == options.digest()


@given(OPTIONS, OPTIONS)
def test_different_options_have_different_digests(one, other):
    assert (one.digest() == other.digest()) == (one == other)


def test_a_digest_is_the_hex_of_sha_256():
    assert len(bytes.fromhex(OcrOptions().digest())) == 32


def test_the_digest_of_default_options_is_the_one_stored_with_earlier_documents():
    # Changing it makes every earlier result unusable: do it knowingly.
    canonical = '{"dpi":null,"lang_hints":[],"min_confidence":null,"mode":"text","pages":null,"text_layer":"auto"}'
    assert OcrOptions().digest() == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_options_of_a_payload_leave_out_where_the_document_is():
    payload = OcrPayload(key="a.pdf", bucket="in", page_number=2, pages="1-3", dpi=300)
    assert payload.options() == OcrOptions(pages="1-3", dpi=300)


def test_the_options_of_two_keys_have_one_digest():
    assert OcrPayload(key="a").options().digest() == OcrPayload(key="b").options().digest()


@pytest.mark.parametrize(
    "field",
    [
        {"pages": "3-1"},
        {"pages": "all"},
        {"dpi": 35},
        {"dpi": 601},
        {"min_confidence": -0.01},
        {"min_confidence": 1.01},
        {"min_confidence": math.nan},
        {"mode": "magic"},
        {"text_layer": "always"},
        {"lang_hints": ["en"] * 17},
        {"lang_hints": "en"},
        {"key": ""},
        {"key": "x" * 1025},
        {"bucket": ""},
        {"page_number": 0},
        {"document_id": "seven"},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_used_is_refused_with_its_field(field: dict[str, Any]):
    with pytest.raises(ValidationError) as refused:
        OcrPayload.model_validate({"key": "a.pdf"} | field)
    assert {issue["loc"][0] for issue in refused.value.errors()} == set(field)


def test_a_payload_needs_a_key_or_a_document():
    with pytest.raises(ValidationError, match="key is required"):
        OcrPayload()


def test_a_document_alone_is_enough():
    assert OcrPayload(document_id=DOCUMENT).key is None


def test_a_page_payload_needs_its_page_number():
    with pytest.raises(ValidationError) as refused:
        OcrPagePayload.model_validate({"key": "a.pdf"})
    assert [issue["loc"] for issue in refused.value.errors()] == [("page_number",)]


@pytest.mark.parametrize("box", [BOX[:3], (*BOX, BOX[0]), ((1, 2, 3),) * 4, 4])
def test_a_box_has_four_points_of_two_numbers(box):
    with pytest.raises(ValidationError):
        Detection(text="a", box=box, confidence=1, page_number=1)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_a_confidence_lies_between_0_and_1(confidence):
    with pytest.raises(ValidationError):
        Detection(text="a", box=BOX, confidence=confidence, page_number=1)


def test_a_rotation_is_a_number_of_quarter_turns():
    with pytest.raises(ValidationError):
        PageText.model_validate(PAGE.model_dump() | {"rotation": 45})


def test_a_detection_is_a_text_a_box_a_confidence_and_a_page_number():
    # Clients read these four; whatever else is known of a line has a place of its own.
    assert list(DETECTION.model_dump()) == ["text", "box", "confidence", "page_number"]


def test_a_page_from_before_there_were_words_has_none():
    old = {name: value for name, value in PAGE.model_dump(mode="json").items() if name != "words"}
    assert PageText.model_validate(old).words == ()


@pytest.mark.parametrize("source", ["ocr", "text_layer", "mixed"])
def test_a_page_says_where_its_text_is_from(source):
    assert PageText.model_validate(PAGE.model_dump() | {"source": source}).source == source


def test_a_page_from_anywhere_else_is_refused():
    with pytest.raises(ValidationError):
        PageText.model_validate(PAGE.model_dump() | {"source": "guess"})


def test_a_word_belongs_to_a_line():
    with pytest.raises(ValidationError):
        Word(text="a", box=BOX, confidence=1, line=-1)
