"""Every language that PaddleOCR has is one that Quire takes, with the models PaddleOCR picks for it.

The languages come out of the installed PaddleOCR: its tables, and the codes that are written in its choice of models.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ocr.engines import models, opencv_alias
from ocr.engines.paddle import PaddleEngine
from ocr.languages import language_code, merge_languages
from quire.errors import EngineUnavailable
from quire.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")

opencv_alias.install()


def languages() -> list[str]:
    """Every code for which PaddleOCR names models."""
    from paddleocr import PaddleOCR
    from paddleocr._utils import langs

    tables = [value for value in vars(langs).values() if isinstance(value, frozenset)]
    candidates = set(strings(PaddleOCR._get_ocr_model_names.__code__.co_consts)).union(*tables)
    return sorted(code for code in candidates if models.names_for(code))


def strings(constants: object) -> Iterator[str]:
    if isinstance(constants, str):
        yield constants
    elif isinstance(constants, tuple | frozenset):
        for constant in constants:
            yield from strings(constant)


LANGUAGES = languages()


def test_the_languages_were_found():
    assert {"en", "ch", "japan", "korean", "th", "el", "te", "ta", "ka", "ar", "ru", "hi", "rs_latin"} <= set(LANGUAGES)
    assert len(LANGUAGES) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_reaches_paddleocr_under_a_code_with_the_same_models(language: str):
    assert models.names_for(language_code(language)) == models.names_for(language)
    assert merge_languages("en", [language.upper()])[0] == language_code(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_chooses_its_own_recogniser(language: str, model_dir: Path):
    engine = PaddleEngine(Settings(quire_models="download", quire_model_dir=model_dir))
    chosen = engine._model_language(merge_languages("en", [language]))
    assert models.names_for(chosen) == models.names_for(language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("runtime", ["onnxruntime", "paddle", "hpi"])
def test_the_models_of_a_language_are_offered_for_the_runtime_that_is_used(language: str, runtime: models.Runtime):
    from paddlex.inference.models.bindings import get_supported_engines
    from paddlex.inference.utils.official_models import ALL_MODELS, _resolve_download_model_names

    used = models.downloaded_runtime(language, runtime)
    engine = {"onnxruntime": "onnxruntime", "paddle": "paddle_static", "hpi": "hpi"}[used]
    formats = {"onnxruntime": ("onnx",), "paddle": ("paddle",), "hpi": ("paddle", "onnx")}[used]
    for name in models.names_for(language):
        assert engine in get_supported_engines(name)
        # Raises where the official source has none of these.
        assert _resolve_download_model_names(name, formats)
        assert name in ALL_MODELS


def test_a_language_without_an_onnx_graph_is_read_by_paddle():
    assert models.downloaded_runtime("ka", "onnxruntime") == "paddle"
    assert models.downloaded_runtime("en", "onnxruntime") == "onnxruntime"


def test_a_language_that_paddleocr_does_not_have_is_refused(model_dir: Path):
    assert models.names_for("xx") == ()
    engine = PaddleEngine(Settings(quire_models="download", quire_model_dir=model_dir))
    with pytest.raises(EngineUnavailable, match="'xx'"):
        engine.recognize([], ["xx"])
