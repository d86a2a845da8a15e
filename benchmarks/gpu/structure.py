"""PP-StructureV3 for a measurement: what the settings configure, with as many pages at once as are measured."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import yaml

from quire.settings import Settings

# Whose `batch_size` counts pages: the pipeline itself, the models that see whole pages, and the pipeline of lines.
_OF_PAGES: Final = (
    (),
    ("SubModules", "LayoutDetection"),
    ("SubModules", "RegionDetection"),
    ("SubPipelines", "GeneralOCR"),
)


def write_config(settings: Settings, pages: int, folder: Path) -> Path:
    """Write the configuration into `folder`; models that it names are where they were.

    Raises:
        EngineUnavailable: the configuration that the settings name cannot be read.
    """
    from ocr.engines.paddle import import_paddleocr
    from ocr.engines.structure import pipeline_config

    import_paddleocr(settings, offline=settings.quire_models != "download")
    config = copy.deepcopy(pipeline_config.load(settings))
    for place in _OF_PAGES:
        node: Any = config
        for key in place:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node["batch_size"] = pages
    named = settings.paddleocr_pipeline_config
    _make_absolute(config, Path.cwd() if named is None else named.absolute().parent)
    path = folder / "PP-StructureV3.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return path


def _make_absolute(node: Any, base: Path) -> None:
    """Directories of models, which are relative to their file."""
    if isinstance(node, list):
        for each in node:
            _make_absolute(each, base)
    elif isinstance(node, dict):
        if node.get("model_dir"):
            node["model_dir"] = str(base / str(node["model_dir"]))
        for each in node.values():
            _make_absolute(each, base)
