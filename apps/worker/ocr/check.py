"""`python -m ocr.check`: load the engine as a worker does, and say as JSON what it is, or why it cannot be used."""

from __future__ import annotations

import json
import sys

import workspace  # noqa: F401  isort: skip
from ocr.engines import create_engine
from ocr.engines.by_options import Engines
from quire.errors import QuireError
from quire.settings import load_settings


def main() -> int:
    """One JSON object on stdout: `engine` and `version`, or `code` and `message`. Exit status: 0, or 1."""
    try:
        settings = load_settings()
        engine = Engines(create_engine(settings), settings)
        engine.warm_up()
    except QuireError as error:
        print(json.dumps({"code": error.code, "message": error.message}))
        return 1
    print(json.dumps({"engine": engine.name, "version": engine.version}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
