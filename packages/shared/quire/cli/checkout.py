"""The worker's code beside this package, where there is a checkout: the OCR core is no part of `packages/shared`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from quire.errors import QuireError

# Checkouts and images have the same folders.
_WORKER: Final = Path(__file__).resolve().parents[4] / "apps" / "worker"


class NoCheckout(QuireError):
    """A command needs the worker's code, and there is none."""

    code = "no_checkout"


def worker_folder() -> Path | None:
    """`apps/worker` of this checkout, or None."""
    return _WORKER if (_WORKER / "ocr" / "__main__.py").is_file() else None


def worker_command(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run a module of the worker.

    Raises:
        NoCheckout: there is none.
    """
    folder = worker_folder()
    if folder is None:
        raise NoCheckout("This needs the OCR core, apps/worker: run it in a checkout of Quire or a worker's image.")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))
    return [sys.executable, "-m", module, *arguments], dict(os.environ) | {"PYTHONPATH": path}
