"""Models of PaddleOCR that were put on this machine beforehand, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from quire.errors import EngineUnavailable

# What PaddleX calls the files of a model, by the engine that runs them.
ONNX_FILE: Final = "inference.onnx"
PADDLE_FILES: Final = ("inference.json", "inference.pdmodel")


def find_model(model_dir: Path, name: str, files: tuple[str, ...] = (ONNX_FILE, *PADDLE_FILES)) -> Path | None:
    """The directory of the model `name` below `QUIRE_MODEL_DIR`, with `inference.yml` and one of `files`, or None.

    A directory of that name, or what PaddleOCR has downloaded, which it keeps under `paddlex/official_models`.
    """
    return next((found for found in _candidates(model_dir.absolute(), name) if _holds(found, files)), None)


def require_model(model_dir: Path, name: str, files: tuple[str, ...], purpose: str) -> Path:
    """As `find_model`, for a model that prepares pages.

    Raises:
        EngineUnavailable: it is not there; the message says how to have it.
    """
    found = find_model(model_dir, name, files)
    if found is None:
        raise EngineUnavailable(
            f"{purpose} needs the model {name}: `quire models download --engine preparation` fetches it, or put its "
            f"inference.yml and {' or '.join(files)} into {model_dir / name} (QUIRE_MODEL_DIR)."
        )
    return found


def _candidates(model_dir: Path, name: str) -> Iterator[Path]:
    downloaded = model_dir / "paddlex" / "official_models"
    yield from (model_dir / name, downloaded / f"{name}_onnx", downloaded / name)


def _holds(directory: Path, files: tuple[str, ...]) -> bool:
    return (directory / "inference.yml").is_file() and any((directory / file).is_file() for file in files)
