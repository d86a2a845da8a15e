"""`python -m ocr.prepare`: have the engine's files ahead of its first use, as an image does when it is built.

They go to `QUIRE_MODEL_DIR`: models that are missing are fetched, the lean engine's networks made. No GPU is needed to
make those for one.
"""

from __future__ import annotations

import sys

import workspace  # noqa: F401  isort: skip
from ocr.engines.choose import engine_name
from ocr.engines.lean.files import model_files
from ocr.engines.lean.loading import runtime_for
from ocr.engines.lean.prepared import prepare
from ocr.engines.lean.presets import PRESETS
from ocr.engines.lean.scripts import script_of
from ocr.languages import merge_languages
from ocr.model_store.catalogue import needed
from ocr.model_store.fetching import fetch
from quire.errors import QuireError
from quire.settings import Settings, load_settings


def prepare_models(settings: Settings) -> str:
    """Have the files for these settings' engine, language, preset and device; the folder they are in.

    Raises:
        EngineUnavailable: a library or a model is missing, or the folder cannot be written.
        ModelsUnreachable, ModelDamaged: a model that is not here cannot be fetched.
    """
    for _ in fetch(settings, needed(settings)):
        pass
    if engine_name(settings) != "lean":
        return str(settings.quire_model_dir.absolute())
    languages = merge_languages(settings.paddleocr_lang, ())
    script = script_of(languages, own_model=settings.paddleocr_rec_model_dir is not None)
    precise = PRESETS[settings.quire_ocr_preset].precise
    files = prepare(model_files(settings), script, runtime_for(settings), settings.quire_model_dir, precise=precise)
    return str(files.detection.parent)


def main() -> int:
    """Exit status 0 with the folder on stdout, or 1 with a sentence."""
    try:
        print(prepare_models(load_settings()))
    except QuireError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
