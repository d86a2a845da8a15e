"""Bars for what takes time, on stderr, gone when it is done."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from quire.cli.output import messages


def _progress(*columns: ProgressColumn) -> Progress:
    # Into a file or pipe nothing is drawn.
    return Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)


class CountBar:
    """A bar of pages, or of other things that are counted, for as long as the `with` block lasts."""

    def __init__(self, what: str) -> None:
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = _progress(*columns)
        self._task = self._progress.add_task(what, total=None)

    def show(self, finished: int, total: int | None) -> None:
        """So many are finished, of so many; None while that is not known."""
        self._progress.update(self._task, total=total, completed=finished)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class ByteBar:
    """A bar of bytes, for as long as the `with` block lasts."""

    def __init__(self, what: str, total: int | None = None) -> None:
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        self._progress = _progress(*columns)
        self._task = self._progress.add_task(what, total=total)

    def reading(self, file: BinaryIO) -> BinaryIO:
        """The file; what is read from it moves the bar."""
        return self._progress.wrap_file(file, task_id=self._task)

    def advance(self, size: int) -> None:
        """So many bytes more."""
        self._progress.advance(self._task, size)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
