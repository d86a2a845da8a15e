"""The models' files as the engine loads them: rebuilt once, kept in `QUIRE_MODEL_DIR`, loaded from there."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ocr.engines.lean.digest import file_digest
from ocr.engines.lean.network import Runtime
from ocr.engines.lean.scripts import Script
from quire.errors import EngineUnavailable

logger = logging.getLogger(__name__)

# Raised whenever the files would come out differently.
_RECIPE: Final = 8
CALIBRATIONS: Final = Path(__file__).parent / "calibrations"


@dataclass(frozen=True)
class ModelFiles:
    """Where the published networks are. `characters` is PaddleX's `inference.yml`, where the ONNX file has none."""

    detection: Path
    recognition: Path
    characters: Path | None = None

    @property
    def name(self) -> str:
        """What tells these networks from others at a glance: the recogniser's file or folder name."""
        path = self.recognition
        return path.parent.name if path.stem == "inference" else path.stem

    def digest(self) -> str:
        """SHA-256 over all files, as hex."""
        total = hashlib.sha256()
        for path in (self.detection, self.recognition, self.characters):
            if path is not None:
                total.update(bytes.fromhex(file_digest(path)))
        return total.hexdigest()


@dataclass(frozen=True)
class Prepared:
    """Files ready to load. `classes` are the script set's, indices into `characters` (class 0 is the blank, "").

    `guard` and `head` are the networks of the script guard; None where the set has all characters.
    """

    detection: Path
    recognition: Path
    characters: list[str]
    classes: list[int]
    guard: Path | None
    head: Path | None


def prepare(files: ModelFiles, script: Script, runtime: Runtime, model_dir: Path, *, precise: bool) -> Prepared:
    """The files for this script set, made where they are missing; several processes may do so at once.

    Raises:
        EngineUnavailable: a model is missing, damaged or of another kind, or `model_dir` cannot be written.
    """
    try:
        quantize = runtime == "openvino" and not precise
        kind = f"int8-{_calibrations_digest()[:8]}" if quantize else "float"
        folder = model_dir.absolute() / "lean" / f"{_RECIPE}-{files.digest()[:16]}-{script}-{runtime}-{kind}"
    except OSError as error:
        raise EngineUnavailable(f"{error.filename} cannot be read: {error.strerror}.") from error
    if folder.is_dir():
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError):
            logger.warning("The prepared models in %s are damaged; they are made again.", folder)
            shutil.rmtree(folder, ignore_errors=True)
    try:
        _make(files, script, folder, quantize=quantize)
        return _read(folder)
    except OSError as error:
        raise EngineUnavailable(
            f"The models cannot be written to QUIRE_MODEL_DIR ({model_dir}): {error.strerror or error}."
        ) from error


def _calibrations_digest() -> str:
    """SHA-256 over all calibrations, as hex: files are made anew when a model has been calibrated."""
    total = hashlib.sha256()
    for path in sorted(CALIBRATIONS.glob("*.json")):
        total.update(path.read_bytes())
    return total.hexdigest()


def _read(folder: Path) -> Prepared:
    description = json.loads((folder / "description.json").read_text(encoding="utf-8"))
    return Prepared(
        folder / description["detection"],
        folder / description["recognition"],
        description["characters"],
        description["classes"],
        *(folder / description[name] if description[name] else None for name in ("guard", "head")),
    )


def _make(files: ModelFiles, script: Script, folder: Path, *, quantize: bool) -> None:
    # Only here: what is prepared loads without the onnx package.
    import onnx

    from ocr.engines.lean import graphs, heads, network, scripts
    from ocr.engines.lean.calibration import calibration_of

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
        work = Path(scratch) / "files"
        work.mkdir()
        characters = _characters(files)
        classes = scripts.classes_of(script, characters)
        kept_space = classes.index(characters.index(" ")) if " " in characters else None
        detection_calibration = calibration_of(files.detection, CALIBRATIONS) if quantize else None
        calibration = calibration_of(files.recognition, CALIBRATIONS) if quantize else None
        if calibration is not None and script != "latin":
            # The hard swishes were fitted to lines in Latin letters.
            calibration = calibration.without_swishes()
        swishes = {} if calibration is None else calibration.swishes
        recognition, head = graphs.recognition_graph(files.recognition, classes, kept_space, swishes)
        names: dict[str, str | None] = {"guard": None, "head": None}
        others = scripts.others_of(classes, characters)
        if others:
            space = characters.index(" ") if " " in characters else None
            names |= {"guard": "guard.onnx", "head": "head.onnx"}
            onnx.save(heads.guard_graph(head, classes, others), str(work / "guard.onnx"))
            onnx.save(heads.head_graph(head, space), str(work / "head.onnx"))
        for name, model, measured in (
            ("detection", graphs.detection_graph(files.detection), detection_calibration),
            ("recognition", recognition, calibration),
        ):
            onnx.save(model, str(work / f"{name}.onnx"))
            if measured is not None:
                network.quantized(work / f"{name}.onnx", measured.ranges_in_use, work / f"{name}.xml")
            names[name] = f"{name}.onnx" if measured is None else f"{name}.xml"
        (work / "description.json").write_text(
            json.dumps({**names, "characters": characters, "classes": classes}), encoding="utf-8"
        )
        try:
            # Whole or not at all: a second process that was faster is no error.
            work.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _characters(files: ModelFiles) -> list[str]:
    """All classes' characters: the blank, those the model names, and the space PaddleOCR adds."""
    import onnx
    import yaml

    from ocr.engines.lean import graphs

    named = graphs.characters_of(onnx.load(str(files.recognition)))
    if not named and files.characters is not None:
        try:
            stored = yaml.safe_load(files.characters.read_text(encoding="utf-8"))["PostProcess"]["character_dict"]
            named = [str(character) for character in stored if character]
        except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise EngineUnavailable(f"{files.characters} does not say PostProcess.character_dict.") from error
    characters = ["", *named]
    missing = graphs.class_count(files.recognition) - len(characters)
    if missing == 1:
        characters.append(" ")
    elif missing:
        raise EngineUnavailable(
            f"{files.recognition} tells {len(characters) + missing} classes apart, but {len(characters)} are named."
        )
    return characters
