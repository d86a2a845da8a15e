"""Types of command line arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def positive(value: str) -> int:
    """A whole number of 1 or more."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def one_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A parser of names from `known`, separated by commas; each counts once."""

    def parse(value: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)} (not {', '.join(unknown) or 'nothing'})")
        return names

    return parse
