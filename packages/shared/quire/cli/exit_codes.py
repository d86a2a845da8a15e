"""How a command ends."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from quire.errors import QuireError


class ExitCode(IntEnum):
    """Exit statuses; see docs/cli.md. Typer itself ends with `USAGE` for arguments that cannot be."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_REACHABLE = 3
    INTERRUPTED = 130


class UsageError(QuireError):
    """The command was called with something that cannot be."""

    code = "usage"


class ApiUnreachable(QuireError):
    """The API did not answer."""

    code = "api_unreachable"
    retryable = True


class Refused(QuireError):
    """The API answered with a problem: its code, and what it says."""

    def __init__(self, answered: str, message: str, *, unavailable: bool) -> None:
        super().__init__(message)
        self.answered = answered
        self.unavailable = unavailable


_NOT_REACHABLE: Final = frozenset(
    {"api_unreachable", "database_unreachable", "broker_unreachable", "storage_unreachable"}
)


def code_of(error: QuireError) -> str:
    """The stable code of an error, the API's where it comes from there."""
    return error.answered if isinstance(error, Refused) else error.code


def exit_code_of(error: QuireError) -> ExitCode:
    """How a command ends that met this error."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    if code_of(error) in _NOT_REACHABLE or (isinstance(error, Refused) and error.unavailable):
        return ExitCode.NOT_REACHABLE
    return ExitCode.FAILED
