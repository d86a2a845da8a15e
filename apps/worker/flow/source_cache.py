"""Files of documents that take turns, kept for the turn after: a book is not fetched anew every few seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quire.settings import Settings

# Since somebody last used it. Longer, and a document that was deleted would lie about.
_KEPT_SECONDS: Final = 600.0


@dataclass(frozen=True)
class SourceCache:
    """Files by their SHA-256 below `QUIRE_RUNTIME_DIR`, for all processes there; `most_bytes` of them at most.

    A file is a hard link, as is each use of it: whoever reads one does not notice that it is removed. Where the disk
    has no hard links, nothing is kept.
    """

    folder: Path
    most_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> SourceCache:
        """The cache for these settings."""
        return cls(settings.quire_runtime_dir.absolute() / "sources", settings.quire_source_cache_bytes)

    def take(self, digest: str, target: Path) -> bool:
        """Make the file with this SHA-256 available at `target`; False if it is not here."""
        entry = self.folder / digest
        try:
            os.link(entry, target)
            os.utime(entry)
        except OSError:
            return target.exists()
        return True

    def keep(self, digest: str, path: Path) -> None:
        """Keep a file, if there is room for it once those are gone that were used longest ago."""
        room = self.most_bytes - path.stat().st_size
        self.remove_old(room)
        if room < 0:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            # What is linked keeps its times: it counts from now on, not from when it was fetched.
            os.utime(path)
            os.link(path, self.folder / digest)

    def remove_old(self, most_bytes: int | None = None) -> None:
        """Remove what was last used too long ago, and then the oldest until all is within `most_bytes`."""
        left = self.most_bytes if most_bytes is None else most_bytes
        oldest = time.time() - _KEPT_SECONDS
        for used_at, size, entry in sorted(self._entries(), reverse=True):
            left -= size
            if used_at < oldest or left < 0:
                entry.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        with suppress(FileNotFoundError):
            for entry in self.folder.iterdir():
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield status.st_mtime, status.st_size, entry
