"""Temporary files of a process, where those of a process that was killed are found and removed."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quire.settings import Settings


@contextmanager
def scratch_folder(settings: Settings) -> Iterator[Path]:
    """A new folder below `QUIRE_RUNTIME_DIR`, for as long as the block lasts."""
    parent = _parent(settings)
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{_host()}-{os.getpid()}-", dir=parent, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def remove_abandoned(settings: Settings) -> None:
    """Remove the folders of processes of this machine or container that are no more."""
    prefix = f"{_host()}-"
    for folder in _parent(settings).glob(f"{prefix}*"):
        process_id = folder.name.removeprefix(prefix).partition("-")[0]
        if process_id.isdigit() and not _is_running(int(process_id)):
            shutil.rmtree(folder, ignore_errors=True)


def _parent(settings: Settings) -> Path:
    return settings.quire_runtime_dir.absolute() / "files"


def _host() -> str:
    # Containers may share the folder, and not their process ids.
    return "".join(character if character.isalnum() else "_" for character in platform.node())


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
