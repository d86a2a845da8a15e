"""The comparison as tables for people, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cold_start import ColdStart
from benchmarks.peer_rounds import Comparison, Turn
from benchmarks.peers_summary import Spread, Summary, summarize
from benchmarks.plot import Panel, Point, draw
from benchmarks.report import score_json
from benchmarks.systems.catalog import REFERENCE


@dataclass(frozen=True)
class PeersReport:
    """Everything one run measured."""

    machine: dict[str, Any]
    comparisons: list[Comparison]
    cold_starts: list[ColdStart]

    def to_json(self) -> dict[str, Any]:
        """Medians with the least and the greatest value, and every round. Speeds in pages per second."""
        return {
            "machine": self.machine,
            "reference": REFERENCE,
            "corpora": {each.corpus.name: _comparison_json(each) for each in self.comparisons},
            "cold_starts": [start.to_json() for start in self.cold_starts],
        }

    def save(self, path: Path) -> list[Path]:
        """Write the JSON to `path` and the plot beside it; return the files. Folders are made where missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=2, default=str) + "\n", encoding="utf-8")
        picture = path.with_suffix(".svg")
        picture.write_text(self.plot(), encoding="utf-8")
        return [path, picture]

    def plot(self) -> str:
        """Speed against accuracy as SVG, a panel for each corpus."""
        panels = [_panel(comparison) for comparison in self.comparisons]
        return draw(panels, x_title="pages per second (median)", y_title="word F1")

    def show(self, console: Console) -> None:
        """Print it."""
        facts = self.machine
        console.print(f"\n{facts['cores']} cores, {facts['cpu']}, Python {facts['python']}, {facts['date']}")
        for comparison in self.comparisons:
            console.print(_table(comparison))
        for key, entry in self._entries().items():
            version = ", ".join(f"{name} {value}" for name, value in self._versions(key).items())
            console.print(f"{entry.title}: {entry.setup}. {version}", soft_wrap=True)
        if self.cold_starts:
            console.print(_cold_table(self.cold_starts))

    def _entries(self) -> dict[str, Any]:
        return {key: entry for comparison in self.comparisons for key, entry in comparison.entries.items()}

    def _versions(self, key: str) -> dict[str, Any]:
        return next((each.versions[key] for each in self.comparisons if key in each.versions), {})


def _table(comparison: Comparison) -> Table:
    table = Table(title=comparison.corpus.title, title_justify="left")
    table.add_column("", no_wrap=True)
    columns = ("pages/s", "of reference", "CPU s/page", "peak MiB", "word F1", "same text", "others' cores")
    for column in columns:
        table.add_column(column, justify="right")
    summaries = {summary.key: summary for summary in summarize(comparison)}
    for key, entry in comparison.entries.items():
        if key in summaries:
            table.add_row(entry.title, *_cells(summaries[key]))
        else:
            table.add_row(entry.title, _reason(comparison.missing.get(key, "not measured")))
    return table


def _reason(missing: str) -> str:
    # What a process left in its log was shown when it ended, and is in the JSON.
    return "failed" if "\n" in missing else missing


def _cells(summary: Summary) -> tuple[str, ...]:
    ratio = summary.ratio
    return (
        f"{summary.speed.median:.2f}",
        f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.most:.2f})" if ratio else "",
        f"{summary.cpu:.2f}",
        f"{summary.peak:.0f}",
        f"{summary.score.f1:.4f}",
        "yes" if summary.repeatable else "no",
        f"{summary.others:.2f}",
    )


def _cold_table(starts: Sequence[ColdStart]) -> Table:
    table = Table(title="From process start to the first page's text", title_justify="left")
    table.add_column("")
    for column in ("seconds (median)", "least to most", "imports"):
        table.add_column(column, justify="right")
    for start in starts:
        first = start.first_page
        table.add_row(
            start.title, f"{first.median:.2f}", f"{first.least:.2f} to {first.most:.2f}", f"{start.import_share:.0%}"
        )
    return table


def _panel(comparison: Comparison) -> Panel:
    points = [
        Point(comparison.entries[s.key].title, s.speed.median, s.score.f1, comparison.entries[s.key].series)
        for s in summarize(comparison)
    ]
    return Panel(comparison.corpus.title, points)


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    summaries = {summary.key: summary for summary in summarize(comparison)}
    return {
        "title": comparison.corpus.title,
        "pages": len(comparison.corpus.images),
        "systems": {
            key: {
                "title": entry.title,
                "setup": entry.setup,
                "versions": comparison.versions.get(key),
                "missing": comparison.missing.get(key),
                "summary": _summary_json(summaries[key]) if key in summaries else None,
            }
            for key, entry in comparison.entries.items()
        },
        "rounds": [{key: _turn_json(turn) for key, turn in turns.items()} for turns in comparison.rounds],
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "pages_per_second": spread_json(summary.speed),
        "ratio_to_reference": spread_json(summary.ratio) if summary.ratio else None,
        "cpu_seconds_per_page": round(summary.cpu, 4),
        "peak_mib": round(summary.peak, 1),
        "others_cores": round(summary.others, 3),
        "words": score_json(summary.score),
        "same_in_every_round": summary.repeatable,
    }


def spread_json(spread: Spread) -> dict[str, float]:
    """Rounded to a ten-thousandth."""
    return {
        "median": round(spread.median, 4),
        "least": round(spread.least, 4),
        "most": round(spread.most, 4),
    }


def _turn_json(turn: Turn) -> dict[str, float]:
    return {
        "wall_seconds": round(turn.run.wall, 4),
        "cpu_seconds": round(turn.run.cpu, 4),
        "rss_mib": round(turn.run.rss, 1),
        "peak_mib": round(turn.run.peak, 1),
        "others_cores": round(turn.others, 3),
    }
