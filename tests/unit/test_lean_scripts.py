"""Scripts of the lean engine: which characters a language needs, and that others are not read as these."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
import pytest
from PIL import Image

from ocr.engines.lean import LeanEngine, heads, loading, scripts
from ocr.engines.lean.alignment import Character, Steps, decode, text_of
from ocr.engines.lean.loading import Loaded
from ocr.engines.lean.network import Network
from quire.errors import EngineUnavailable
from quire.settings import Settings
from tests.lines import read_lines
from tests.pdfs import TEXTS, Pixels, chinese, line_pictures, page_of, written

CHINESE = ("中日田王", "山田工王", "土日山中田", "王中山", "田中")
SPACE = 0.15


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> LeanEngine:
    return LeanEngine(Settings(quire_model_dir=model_dir), 2)


@pytest.fixture(scope="module")
def loaded(model_dir: Path) -> Loaded:
    return loading.load(Settings(quire_model_dir=model_dir), "latin", 2, precise=False)


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def texts(engine: LeanEngine, image: Image.Image, language: str) -> list[str]:
    return [line.text for line in engine.recognize([page_of(image)], [language])[0]]


def cropped(image: Image.Image) -> Pixels:
    """The inked part of a page as the picture of a line."""
    rows, columns = np.nonzero(np.asarray(image.convert("L")) < 128)
    left, top, right, bottom = columns.min() - 6, rows.min() - 6, columns.max() + 6, rows.max() + 6
    part = image.convert("RGB").crop((int(left), int(top), int(right), int(bottom)))
    return np.asarray(part.resize((round(part.width * 48 / part.height), 48), Image.Resampling.BILINEAR))


def symbols(text: str) -> Image.Image:
    """Greek letters, in the font for symbols that every PDF reader has."""
    document = pdfium.PdfDocument.new()
    font = pdfium_c.FPDFText_LoadStandardFont(document.raw, b"Symbol")
    page = document.new_page(320, 100)
    written = pdfium_c.FPDFPageObj_CreateTextObj(document.raw, font, ctypes.c_float(30))
    encoded = ctypes.create_string_buffer(text.encode("utf-16-le") + b"\0\0")
    pdfium_c.FPDFText_SetText(written, ctypes.cast(encoded, ctypes.POINTER(ctypes.c_ushort)))
    pdfium_c.FPDFPageObj_Transform(written, 1, 0, 0, 1, 30, 40)
    pdfium_c.FPDFPage_InsertObject(page.raw, written)
    page.gen_content()
    image: Image.Image = page.render(scale=2).to_pil().convert("RGB")
    document.close()
    return image


def decoded(pictures: Sequence[Pixels], loaded: Loaded) -> list[tuple[Steps, list[Character]]]:
    return [(steps, decode(steps, SPACE)) for steps in read_lines(pictures, loaded.recognizer, loaded.characters)]


@pytest.mark.parametrize("text", CHINESE)
@pytest.mark.parametrize(("size", "width"), [(60, 6), (60, 4), (40, 4)], ids=["bold", "thin", "small"])
def test_chinese_is_read_as_such_when_latin_is_expected(text, size, width, engine):
    image = chinese(text, size, width)
    assert texts(engine, image, "ch") == [text]
    assert texts(engine, image, "en") == [text]


@pytest.mark.parametrize("text", ["λθπω", "αλφα βητα", "φξλ"])
def test_greek_is_read_as_such_when_latin_is_expected(text, engine):
    assert texts(engine, symbols(text), "ch") == [text]
    assert texts(engine, symbols(text), "en") == [text]


@pytest.mark.parametrize("language", ["en", "vi", "ch"])
def test_latin_is_read_the_same_whichever_script_is_expected(language, engine):
    image, _ = written(TEXTS[:5], 28, (620, 380))
    assert sorted(texts(engine, image, language)) == sorted(TEXTS[:5])


def test_chinese_beside_latin_is_read_as_such(engine):
    image, _ = written(["Tanaka"], 56, (640, 200), (330, 55))
    image.paste(chinese("田中").crop((40, 40, 320, 140)), (40, 40))
    assert "".join(sorted("".join("".join(texts(engine, image, "en")).split()))) == "".join(sorted("田中Tanaka"))


def test_the_guard_finds_what_would_be_read_as_latin(loaded, executor):
    truth = (*CHINESE, "αβδθ", "λθπω", "αβγδ")
    lines = decoded(
        [cropped(chinese(text)) for text in CHINESE] + [cropped(symbols(text)) for text in truth[5:]], loaded
    )
    # Without the guard what is read are characters that are not there, or none.
    assert not set("".join(text_of(characters) for _, characters in lines)) & set("".join(truth))
    flagged = loaded.guard.find_others(lines, executor)
    assert [flag for flag, (_, characters) in zip(flagged, lines, strict=True) if characters].count(False) == 0
    assert flagged.count(True) >= 4
    assert [text_of(decode(loaded.guard.with_all(steps), SPACE)) for steps, _ in lines] == list(truth)


def test_the_guard_lets_latin_lines_pass(loaded, executor):
    lines = decoded(line_pictures(30, seed=6), loaded)
    assert len({text_of(characters) for _, characters in lines}) >= len(TEXTS)
    assert loaded.guard.find_others(lines, executor) == [False] * 30


def test_the_guard_judges_a_line_the_same_whatever_other_lines_there_are(loaded, executor):
    pictures = [*line_pictures(25, seed=7), *(cropped(symbols(text)) for text in ("λθπω", "αβδθ"))]
    lines = decoded(pictures, loaded)
    expected = [loaded.guard.find_others([line], executor)[0] for line in lines]
    assert loaded.guard.find_others(lines, executor) == expected
    assert loaded.guard.find_others(lines[::-1], executor) == expected[::-1]
    assert expected[-2:] == [True, True]
    assert loaded.guard.find_others([], executor) == []


def test_deciding_among_all_characters_gives_probabilities_of_a_whole(loaded):
    ((steps, _),) = decoded([cropped(symbols("λΣφψ"))], loaded)
    every = loaded.guard.with_all(steps)
    assert len(every.characters) == 18710
    assert ((every.score > 0) & (every.score <= 1 + 1e-6)).all()
    assert ((every.space >= 0) & (every.space <= every.score + 1e-6)).all()
    # All classes share the probability that the chosen ones had to themselves.
    same = [loaded.characters[a] == every.characters[b] for a, b in zip(steps.best, every.best, strict=True)]
    assert any(same)
    assert not all(same)
    assert (every.score <= steps.score + 0.02)[same].all()


def test_with_all_characters_there_is_nothing_to_guard(model_dir):
    settings = Settings(quire_model_dir=model_dir)
    assert loading.load(settings, "latin", 2, precise=False).guard is not None
    every = loading.load(settings, "all", 2, precise=False)
    assert every.guard is None
    assert len(every.characters) == 18710


@pytest.mark.parametrize(
    ("classes", "others"),
    [([0, 1, 4], [3, 5]), ([0, 2], [1, 3, 4, 5]), ([0], [1, 2, 3, 4, 5]), (range(6), [])],
    ids=str,
)
def test_others_are_characters_that_no_chosen_class_is(classes, others):
    """A full-width letter is the letter; the letter is not its full width."""
    assert scripts.others_of(classes, ["", "A", "Ａ", "中", "1", "λ"]) == others


def guard_over(characters: Sequence[str], classes: Sequence[int], folder: Path) -> scripts.ScriptGuard:
    """A guard whose features are the logits."""
    head = heads.Head(np.eye(len(characters), dtype=np.float32), np.zeros(len(characters), np.float32))
    make = loading._onnxruntime(1, Settings())

    def network(name: str, model: Any) -> Network:
        onnx.save(model, str(folder / name))
        return make(folder / name, True)

    guard = network("guard.onnx", heads.guard_graph(head, classes, scripts.others_of(classes, characters)))
    return scripts.ScriptGuard(guard, network("head.onnx", heads.head_graph(head, None)), characters)


@pytest.mark.parametrize("letters", ["AＡ", "1１"])
def test_a_full_width_letter_is_no_other_character(letters, executor, tmp_path):
    """Where the chosen letter and its wide form compete the letter stays."""
    characters = ["", *letters, "中"]
    guard = guard_over(characters, [0, 1], tmp_path)

    def flag(*logits: float) -> bool:
        features = np.asarray([logits], np.float32)
        steps = Steps(np.asarray([1]), np.asarray([0.5], np.float32), np.zeros(1, np.float32), features, characters[:2])
        return guard.find_others([(steps, decode(steps, SPACE))], executor)[0]

    assert not flag(0, 1, 2, 0)
    assert flag(0, 1, 0, 2)


@pytest.mark.parametrize("flagged", [[], [0], [299], [127, 128], [5, 130, 256]], ids=str)
def test_the_guard_tells_which_of_many_lines_have_others(flagged, executor, tmp_path):
    """More lines than are weighed at once."""
    characters = ["", "a", "中"]
    guard = guard_over(characters, [0, 1], tmp_path)
    lines = []
    for number in range(300):
        features = np.asarray([[-9, 1, 2 if number in flagged else 0]], np.float32)
        steps = Steps(np.asarray([1]), np.asarray([0.5], np.float32), np.zeros(1, np.float32), features, characters)
        lines.append((steps, decode(steps, SPACE)))
    assert np.flatnonzero(guard.find_others(lines, executor)).tolist() == flagged


@pytest.mark.parametrize(
    ("languages", "script"),
    [
        ([], "latin"),
        (["en"], "latin"),
        (["fr", "german", "es", "pl", "vi"], "latin"),
        (["en", "ch"], "all"),
        (["japan"], "all"),
        (["chinese_cht"], "all"),
    ],
    ids=str,
)
def test_the_script_set_has_the_characters_of_all_languages(languages, script):
    assert scripts.script_of(languages) == script


@pytest.mark.parametrize("language", ["el", "ru", "xx"])
def test_a_language_outside_of_the_bundled_models_is_refused(language, engine):
    with pytest.raises(EngineUnavailable, match=rf"do not read '{language}'\. Set QUIRE_MODELS=download"):
        texts(engine, chinese("田"), language)
    assert scripts.script_of(["en", language], own_model=True) == "all"


def test_the_classes_of_a_script_begin_with_the_blank_and_are_in_order():
    characters = ["", "A", "中", "é", "€", "ễ", "λ", "≤", " ", "Ж"]
    assert scripts.classes_of("latin", characters) == [0, 1, 3, 4, 5, 7, 8]
    assert scripts.classes_of("all", characters) == list(range(10))
