"""Every model of every engine, and where it lies on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ocr.engines import models, opencv_alias
from ocr.engines.choose import engine_name
from ocr.engines.got import checkpoint
from ocr.engines.lean import scripts
from ocr.engines.offline import ONNX_FILE, PADDLE_FILES, find_model
from ocr.engines.paddle import TEXTLINE_MODEL
from ocr.languages import language_code
from ocr.preparation.flattening import MODEL as FLATTENING
from ocr.preparation.orientation import MODEL as ORIENTATION
from quire.errors import InvalidPayload
from quire.settings import Settings

# What a model may be needed for: the engines of text, PP-StructureV3, and the options that prepare pages.
ENGINES: Final = ("lean", "paddleocr", "got", "structure", "preparation")

_GOT_REPOSITORY: Final = f"stepfun-ai/{checkpoint.NAME}"


@dataclass(frozen=True)
class Model:
    """A model: its name, and the file or directory it lies in, or belongs in.

    `languages` are PaddleOCR's codes; empty where it reads whatever comes. `repository` is where a hub has it; None
    where it comes with a package. `needs` are files of which a directory must have at least one each.
    """

    engine: str
    name: str
    purpose: str
    place: Path
    languages: tuple[str, ...] = ()
    repository: str | None = None
    needs: tuple[tuple[str, ...], ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether its files are there; not whether they are whole."""
        if not self.needs:
            return self.place.is_file()
        return all(any((self.place / name).is_file() for name in names) for names in self.needs)

    @property
    def files(self) -> list[Path]:
        """Its files, in a fixed order."""
        if self.place.is_file():
            return [self.place]
        return sorted(path for path in self.place.rglob("*") if path.is_file() and not path.name.startswith("."))

    @property
    def size(self) -> int:
        """Bytes on this machine."""
        return sum(path.stat().st_size for path in self.files) if self.is_here else 0


def find(settings: Settings, engine: str | None = None, language: str | None = None) -> list[Model]:
    """The models of an engine, or of all; and of these the ones that read a language, or all.

    Raises:
        InvalidPayload: there is no such engine, or none of its models reads that language.
        EngineUnavailable: a library that knows the models is not installed here.
    """
    if engine is not None and engine not in ENGINES:
        raise InvalidPayload(f"There is no engine {engine!r}. Name one of {', '.join(ENGINES)}.")
    found = [model for each in ENGINES if engine in (None, each) for model in _of_engine(each, settings)]
    if language is None:
        return found
    code = language_code(language)
    chosen = [replace(model, languages=(code,)) for model in found if code in model.languages]
    if not chosen and any(model.languages for model in found):
        raise InvalidPayload(f"No model of {engine or 'any engine'} reads {language!r} (`quire models list --json`).")
    return [*chosen, *(model for model in found if not model.languages)]


def needed(settings: Settings) -> list[Model]:
    """What the settings' engine needs for the settings' language, and PP-StructureV3 where it is set up."""
    engine = engine_name(settings)
    on_paddle = settings.uses_gpu or settings.quire_cpu_engine == "paddle"
    if engine == "paddleocr" and settings.quire_models != "download" and not on_paddle:
        # It reads with the models of the lean engine.
        engine = "lean"
    found = find(settings, engine, settings.paddleocr_lang)
    if settings.paddleocr_pipeline_config is not None:
        found += find(settings, "structure")
    return found


def _of_engine(engine: str, settings: Settings) -> Iterator[Model]:
    if engine == "lean":
        yield from _lean(settings)
    elif engine == "paddleocr":
        yield from _paddleocr(settings)
    elif engine == "got":
        # Files as `checkpoint.check` wants them.
        place = checkpoint.directory_of(settings)
        yield Model(
            engine, checkpoint.NAME, "text and Markdown", place, repository=_GOT_REPOSITORY, needs=checkpoint.FILES
        )
    elif engine == "structure":
        yield from _structure(settings)
    else:
        for name, option in (
            (ORIENTATION, "doc_orientation"),
            (FLATTENING, "doc_unwarping"),
            (TEXTLINE_MODEL, "textline_orientation"),
        ):
            yield _hub_model(engine, name, option, settings, (ONNX_FILE,))


def _lean(settings: Settings) -> Iterator[Model]:
    languages = scripts.languages()
    for purpose, given, (_, file_name) in (
        ("detection", settings.paddleocr_det_model_dir, models.BUNDLED_DETECTION),
        ("recognition", settings.paddleocr_rec_model_dir, models.BUNDLED_RECOGNITION),
    ):
        place = models.wheel_models() / file_name if given is None else given.absolute() / ONNX_FILE
        yield Model("lean", file_name if given is None else given.name, purpose, place, languages)


def _paddleocr(settings: Settings) -> Iterator[Model]:
    opencv_alias.install()
    asked: models.Runtime = "paddle" if settings.uses_gpu else settings.quire_cpu_engine
    readers: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for language in paddle_languages():
        on_onnx = models.downloaded_runtime(language, asked) == "onnxruntime"
        form: tuple[str, ...] = (ONNX_FILE,) if on_onnx else PADDLE_FILES
        for purpose, name in zip(("detection", "recognition"), models.names_for(language), strict=False):
            readers.setdefault((purpose, name, form), []).append(language)
    for (purpose, name, form), languages in sorted(readers.items()):
        yield replace(_hub_model("paddleocr", name, purpose, settings, form), languages=tuple(languages))


def _structure(settings: Settings) -> Iterator[Model]:
    from ocr.engines.structure import pipeline_config

    config = pipeline_config.load(settings)
    named = {str(pipeline_config.model_name(config, place)): place[-1] for place in pipeline_config.used_models(config)}
    bundled = {models.BUNDLED_DETECTION[0], models.BUNDLED_RECOGNITION[0]}
    for name, purpose in named.items():
        if name not in bundled or settings.uses_gpu:
            form = PADDLE_FILES if settings.uses_gpu or not _has_onnx(name) else (ONNX_FILE,)
            yield _hub_model("structure", name, purpose, settings, form)


def paddle_languages() -> tuple[str, ...]:
    """PaddleOCR's codes of all languages that it has a recogniser for."""
    opencv_alias.install()
    from paddleocr._utils import langs

    groups = (langs.LATIN_LANGS, langs.ARABIC_LANGS, langs.ESLAV_LANGS, langs.CYRILLIC_LANGS, langs.DEVANAGARI_LANGS)
    single = {"ch", "chinese_cht", "en", "japan", "korean", "th", "el", "te", "ta", "ka"}
    return tuple(sorted(single.union(*groups)))


def _has_onnx(name: str) -> bool:
    """Whether PaddleOCR's hub has the model as an ONNX graph."""
    opencv_alias.install()
    from paddlex.inference.utils.official_models import ONNX_SUPPORTED_MODELS

    return name in ONNX_SUPPORTED_MODELS


def _hub_model(engine: str, name: str, purpose: str, settings: Settings, form: tuple[str, ...]) -> Model:
    """One of PaddleOCR's: where it is, or where PaddleOCR itself would look for a download."""
    package = f"{name}_onnx" if form == (ONNX_FILE,) else name
    downloaded = settings.quire_model_dir.absolute() / "paddlex" / "official_models" / package
    place = find_model(settings.quire_model_dir, name, form) or downloaded
    return Model(engine, name, purpose, place, repository=f"PaddlePaddle/{package}", needs=(("inference.yml",), form))
