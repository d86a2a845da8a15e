"""Numbered cases: a seed and a number are enough to make the same damaged file again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.mutations import MUTATIONS
from tests.isolated import IsolatedReader, Job, Outcome

TIMEOUT_SECONDS: Final = 60
# Enough to see a document that takes hundreds of times what its pages are worth, which are a few megapixels at most.
MAX_GROWN_MIB: Final = 700
# A few dots an inch make a page cheap; what is fragile does not depend on them.
_DPI: Final = 36
_MAX_PIXELS: Final = 4_000_000


@dataclass(frozen=True)
class Case:
    """One damaged file. `name` says which case it is, and what was done to which file."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Failure:
    """A case that did not end well, and the file it was, which is kept."""

    name: str
    reason: str
    path: Path


def make_case(files: Mapping[str, bytes], seed: int, number: int) -> Case:
    """Case `number` of a seed: one to three kinds of damage to one file."""
    dice = Random(f"{seed}:{number}")
    names = list(files)
    name = dice.choice(names)
    content, done = files[name], []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        mutation = dice.choice(MUTATIONS)
        content = mutation(content, files[dice.choice(names)], dice)
        done.append(mutation.__name__)
    return Case(f"seed {seed}, case {number}: {name}, {' and '.join(done)}", content)


def run_cases(
    files: Mapping[str, bytes], seed: int, numbers: Iterable[int], keep: Path
) -> tuple[Counter[str], list[Failure]]:
    """Read each case's first page, with its text layer and without; the codes they ended with, and the failures."""
    codes: Counter[str] = Counter()
    failures = []
    with IsolatedReader(TIMEOUT_SECONDS) as reader:
        for number in numbers:
            case = make_case(files, seed, number)
            path = keep / f"seed-{seed}-case-{number}"
            path.write_bytes(case.content)
            outcome = reader.read(_job(path))
            codes.update(outcome.codes)
            reason = _reason(outcome)
            if reason is None:
                path.unlink()
            else:
                failures.append(Failure(case.name, reason, path))
    return codes, failures


def _job(path: Path) -> Job:
    return Job(str(path), _DPI, 1, max_image_pixels=_MAX_PIXELS, max_render_pixels=_MAX_PIXELS)


def _reason(outcome: Outcome) -> str | None:
    """Why an outcome is a failure; None if it is none."""
    if not outcome.is_typed:
        return f"{outcome.ended}: {outcome.detail or outcome.codes}"
    if outcome.grown > MAX_GROWN_MIB:
        return f"it took {outcome.grown:,.0f} MiB"
    return None
