"""Every model of every engine, and where it lies on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ocr.engines import models, opencv_alias
from ocr.engines.choose import known_engine_name
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
class Form:
    """What a model of PaddleOCR's may be: the end of its package's name, and files of which it has one each."""

    suffix: str
    needs: tuple[tuple[str, ...], ...]


_ONNX: Final = Form("_onnx", ((ONNX_FILE,),))
_PADDLE: Final = Form("", (PADDLE_FILES, ("inference.pdiparams",)))
# Of the few that Paddle runs without a graph.
_WEIGHTS: Final = Form("", (("model.safetensors", "model_state.pdparams", "inference.pdparams"),))
_DESCRIPTION: Final = ("inference.yml",)


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
    """What the settings' engine needs for the settings' language, and PP-StructureV3 where it is set up.

    Where models are downloaded (`QUIRE_MODELS=download`), those of the options that prepare pages as well: any payload
    may ask for one, and workers do not fetch them.

    Raises as `find`, and:
        EngineUnavailable: there is no such engine.
    """
    engine = known_engine_name(settings)
    found: list[Model] = []
    if engine == "paddleocr":
        found += _for_paddleocr(settings)
    elif engine in ENGINES:
        found += find(settings, engine, settings.paddleocr_lang)
    if settings.paddleocr_pipeline_config is not None:
        found += find(settings, "structure")
    if settings.quire_models == "download":
        found += find(settings, "preparation")
    return found


def _for_paddleocr(settings: Settings) -> list[Model]:
    if settings.paddleocr_det_model_dir or settings.paddleocr_rec_model_dir:
        # Given by the operator; a second one that is not given is that of the wheel.
        return []
    # Without a download it reads with the models of the lean engine.
    downloads = settings.quire_models == "download" or _runs_on_paddle(settings)
    return find(settings, "paddleocr" if downloads else "lean", settings.paddleocr_lang)


def _runs_on_paddle(settings: Settings) -> bool:
    """Whether PaddleOCR's models have to be in Paddle's form. Its plugin for inference takes that one first."""
    return settings.uses_gpu or settings.paddleocr_enable_hpi or settings.quire_cpu_engine == "paddle"


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
        yield from _preparation(settings)


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
    asked: models.Runtime = "paddle" if _runs_on_paddle(settings) else "onnxruntime"
    readers: dict[tuple[str, str, Form], list[str]] = {}
    for language in paddle_languages():
        form = _form(on_onnx=models.downloaded_runtime(language, asked) == "onnxruntime")
        for purpose, name in zip(("detection", "recognition"), models.names_for(language), strict=False):
            readers.setdefault((purpose, name, form), []).append(language)
    for (purpose, name, form), languages in sorted(readers.items(), key=lambda item: item[0][:2]):
        yield replace(_hub_model("paddleocr", name, purpose, settings, form), languages=tuple(languages))


def _structure(settings: Settings) -> Iterator[Model]:
    from ocr.engines.structure import pipeline_config

    config = pipeline_config.load(settings)
    bundled = {models.BUNDLED_DETECTION[0], models.BUNDLED_RECOGNITION[0]}
    seen = set()
    for place in pipeline_config.used_models(config):
        node = _node(config, place)
        name, given = node.get("model_name"), node.get("model_dir")
        # A part that the file leaves out has the models of another one.
        if not name or (name, given) in seen:
            continue
        seen.add((name, given))
        if given:
            directory = _beside(settings, str(given))
            yield Model("structure", name, place[-1], directory, needs=(_DESCRIPTION, (ONNX_FILE, *PADDLE_FILES)))
        elif name not in bundled or settings.uses_gpu:
            yield _hub_model("structure", name, place[-1], settings, *_forms(name, settings))
    prepared = pipeline_config.preparation(config, settings)
    if prepared.orientation and prepared.orientation_model is None:
        yield _hub_model("structure", ORIENTATION, "DocOrientationClassify", settings, _ONNX)
    if prepared.flattening and prepared.flattening_model is None:
        yield _hub_model("structure", FLATTENING, "DocUnwarping", settings, _ONNX)


def _node(config: Mapping[str, Any], place: Sequence[str]) -> Mapping[str, Any]:
    """What a configuration has at a place; nothing where it has no such place."""
    node: Any = config
    for key in place:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _beside(settings: Settings, directory: str) -> Path:
    """A directory that a configuration names, which is relative to its file."""
    path = settings.paddleocr_pipeline_config
    return (Path.cwd() if path is None else path.absolute().parent) / directory


def _forms(name: str, settings: Settings) -> list[Form]:
    """The forms that PP-StructureV3 takes a model in, that of the download first."""
    opencv_alias.install()
    from paddlex.inference.utils import official_models

    if name in official_models.SAFETENSORS_SUPPORTED_MODELS_WITHOUT_SUFFIX:
        return [_WEIGHTS]
    if settings.uses_gpu:
        return [_PADDLE]
    return [_ONNX, _PADDLE] if name in official_models.ONNX_SUPPORTED_MODELS else [_PADDLE, _ONNX]


def _preparation(settings: Settings) -> Iterator[Model]:
    for name, option in ((ORIENTATION, "doc_orientation"), (FLATTENING, "doc_unwarping")):
        yield _hub_model("preparation", name, option, settings, _ONNX)
    # PaddleOCR's pipeline runs this one, on what it runs on itself.
    form = _form(on_onnx=not _runs_on_paddle(settings))
    yield _hub_model("preparation", TEXTLINE_MODEL, "textline_orientation", settings, form)


def paddle_languages() -> tuple[str, ...]:
    """PaddleOCR's codes of all languages that it has a recogniser for."""
    opencv_alias.install()
    from paddleocr._utils import langs

    groups = (langs.LATIN_LANGS, langs.ARABIC_LANGS, langs.ESLAV_LANGS, langs.CYRILLIC_LANGS, langs.DEVANAGARI_LANGS)
    single = {"ch", "chinese_cht", "en", "japan", "korean", "th", "el", "te", "ta", "ka"}
    return tuple(sorted(single.union(*groups)))


def _form(*, on_onnx: bool) -> Form:
    return _ONNX if on_onnx else _PADDLE


def _hub_model(engine: str, name: str, purpose: str, settings: Settings, *forms: Form) -> Model:
    """One of PaddleOCR's: where it is, in any of the forms, or where PaddleOCR itself would look for a download."""
    for form in forms:
        place = find_model(settings.quire_model_dir, name, form.needs[0])
        if place is not None:
            break
    else:
        form = forms[0]
        place = settings.quire_model_dir.absolute() / "paddlex" / "official_models" / f"{name}{form.suffix}"
    repository = f"PaddlePaddle/{name}{form.suffix}"
    return Model(engine, name, purpose, place, repository=repository, needs=(_DESCRIPTION, *form.needs))
