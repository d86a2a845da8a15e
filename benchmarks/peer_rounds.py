"""Systems in turns: in each round every one of them reads the same pages, one system at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.child import ChildEnded
from benchmarks.corpora import Corpus
from benchmarks.cpu_time import cpu_seconds, used_between
from benchmarks.systems.base import Absent
from benchmarks.systems.catalog import Entry
from benchmarks.systems.process import Pass, SystemProcess

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """One system's turn in a round. `others` is how many cores programs outside the benchmark used meanwhile."""

    run: Pass
    others: float


@dataclass
class Comparison:
    """What came of a corpus. Each round has a turn by key; `missing` says why a system has none."""

    corpus: Corpus
    entries: Mapping[str, Entry]
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, Turn]] = field(default_factory=list)


def compare(
    corpus: Corpus,
    entries: Mapping[str, Entry],
    rounds: int,
    *,
    folder: Path,
    model_dir: Path,
    say: Callable[[str], object],
) -> Comparison:
    """Load every system in a process of its own, let each read a page, then measure the rounds.

    Logs go to `folder`; `say` is told what is going on. A system that fails is missing from then on, with its reason.
    """
    comparison = Comparison(corpus, entries)
    with ExitStack() as stack:
        loaded: dict[str, SystemProcess] = {}
        for key, entry in entries.items():
            process = stack.enter_context(SystemProcess(entry, folder / f"{key}.log", model_dir))
            if _load(key, process, comparison):
                loaded[key] = process
            say(f"{entry.title}: {comparison.missing.get(key, 'loaded')}")
        for number in range(rounds):
            say(f"Round {number + 1} of {rounds}")
            comparison.rounds.append({})
            for key in turned(list(loaded), number):
                if key not in comparison.missing:
                    _take_turn(key, loaded, comparison, say)
    return comparison


def turned(keys: Sequence[T], by: int) -> list[T]:
    """The keys in order, the first `by` of them moved to the end, so that none is always the first of a round."""
    by %= max(len(keys), 1)
    return [*keys[by:], *keys[:by]]


def _load(key: str, process: SystemProcess, comparison: Comparison) -> bool:
    corpus = comparison.corpus
    try:
        comparison.versions[key] = process.wait_until_loaded()
        # The first page of a process belongs to no round.
        process.read(corpus.images[:1], corpus.document)
    except (Absent, ChildEnded) as error:
        comparison.missing[key] = str(error)
    return key not in comparison.missing


def _take_turn(
    key: str, processes: Mapping[str, SystemProcess], comparison: Comparison, say: Callable[[str], object]
) -> None:
    corpus = comparison.corpus
    parts = {name: process.pid for name, process in processes.items()}
    before = cpu_seconds(parts)
    try:
        run = processes[key].read(corpus.images, corpus.document)
    except ChildEnded as error:
        comparison.missing[key] = str(error)
        say(f"  {comparison.entries[key].title}: {error}")
        return
    others = used_between(before, cpu_seconds(parts)).get("others", 0.0)
    comparison.rounds[-1][key] = Turn(run, others / run.wall)
    say(f"  {comparison.entries[key].title}: {len(run.texts) / run.wall:.2f} pages/s")
