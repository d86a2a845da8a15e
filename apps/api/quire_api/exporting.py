"""Exports made for a request: written to a file of their own, then sent from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from quire.contracts import PageText
from quire.database import documents
from quire.database.engine import get_engine, transaction
from quire.database.tables import Document
from quire.errors import PageOutOfRange
from quire.exports.base import ExportInfo
from quire.exports.formats import FORMATS, write_export
from quire.pages import PageLimits
from quire.scratch import scratch_folder
from quire.settings import Settings
from quire.storage import ObjectStore
from quire_api.page_images import sources
from quire_api.rendering import Renderers

# Formats made from the document's file are made in a process of their own, and a book takes its time.
_PROCESSES: Final = 1
_SECONDS: Final = 900.0


@dataclass(frozen=True)
class Export:
    """A document in a format; of one page only, where `page` says which."""

    document: Document
    format: str
    page: int | None
    settings: Settings
    store: ObjectStore

    @property
    def filename(self) -> str:
        """What it is called when it is saved."""
        stem = Path(self.document.filename or str(self.document.id)).stem
        page = f"-{self.page}" if self.page is not None else ""
        return f"{stem}{page}{FORMATS[self.format].suffix}"

    @contextmanager
    def written(self) -> Iterator[Path]:
        """The export as a file, for as long as the block lasts.

        Raises:
            QuireError: what `write_export` raises, or the document's file could not be fetched.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(scratch_folder(self.settings))
            target = folder / "export"
            if FORMATS[self.format].needs_source:
                source = stack.enter_context(sources().open(self.document, self.settings, self.store))
                texts = folder / "pages"
                _save(texts, self._pages())
                _exporters().run(_write, self.format, self._info(), texts, target, source, seconds=_SECONDS)
            else:
                with target.open("wb") as out:
                    write_export(self.format, self._info(), self._pages(), out)
            yield target

    def _info(self) -> ExportInfo:
        with transaction() as session:
            errors = documents.read_page_errors(session, self.document.id)
        return ExportInfo(
            filename=self.document.filename or self.document.source_key,
            page_count=self.document.page_count or 0,
            sha256=self.document.source_sha256,
            errors=tuple(errors) if self.page is None else (),
            limits=PageLimits.from_settings(self.settings),
        )

    def _pages(self) -> Iterator[PageText]:
        """The pages that were read, a few of them in memory at a time."""
        if self.page is None:
            return documents.iter_pages(get_engine(), self.document.id)
        with transaction() as session:
            found = documents.read_pages(session, self.document.id, after=self.page - 1, most=1)
        if not found or found[0].page_number != self.page:
            raise PageOutOfRange(f"Page {self.page} is not among the pages of this document that were read.")
        return iter(found)


@lru_cache(maxsize=1)
def _exporters() -> Renderers:
    return Renderers(_PROCESSES, _SECONDS)


def _save(target: Path, pages: Iterator[PageText]) -> None:
    with target.open("w", encoding="utf-8") as file:
        for page in pages:
            file.write(page.model_dump_json() + "\n")


def _write(name: str, info: ExportInfo, texts: Path, target: Path, source: Path) -> None:
    """What is done in the other process: it has no database, and gets the pages as a file."""
    with texts.open(encoding="utf-8") as lines, target.open("wb") as out:
        write_export(name, info, (PageText.model_validate_json(line) for line in lines), out, source)
