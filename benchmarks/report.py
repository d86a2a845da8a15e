"""What was measured, as tables for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.queue_overhead import Round, median_ratio
from benchmarks.word_f1 import WordScore


@dataclass(frozen=True)
class LongPdf:
    """A long document through the queue: seconds from its arrival to its end, and those spent reading pages."""

    pages: int
    seconds: float
    reading_seconds: float
    errors: list[str]


@dataclass(frozen=True)
class Report:
    """Everything one run measured. `engine_loads` counts how often a pool process loaded its models."""

    machine: dict[str, Any]
    receipts: int
    queue_score: WordScore
    direct_score: WordScore
    rounds: list[Round]
    engine_loads: int
    long_pdf: LongPdf | None = None

    def to_json(self) -> dict[str, Any]:
        """All rounds and their medians; times in seconds per page where the name does not say otherwise."""
        return {
            "machine": self.machine,
            "receipts": self.receipts,
            "accuracy": {"queue": score_json(self.queue_score), "direct": score_json(self.direct_score)},
            "medians": {
                "direct_seconds_per_page": _median(self.rounds, lambda each: each.direct_seconds),
                "queue_seconds_per_page": _median(self.rounds, lambda each: each.queue_seconds),
                "ratio": round(median_ratio(self.rounds), 4),
            },
            "rounds": [_round_json(each) for each in self.rounds],
            "engine_loads": self.engine_loads,
            "errors": [error for each in self.rounds for error in each.queue.errors],
            "long_pdf": asdict(self.long_pdf) if self.long_pdf else None,
        }

    def save(self, path: Path) -> None:
        """Write it as JSON; folders are made where they are missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print it."""
        facts = self.machine
        console.print(
            f"\n{facts['cores']} cores, {facts['cpu']}, Python {facts['python']}, PaddleOCR {facts['paddleocr']}, "
            f"ONNX Runtime {facts['onnxruntime']}, {facts['date']}",
            soft_wrap=True,
        )
        console.print(self._accuracy_table())
        console.print(self._speed_table())
        console.print(self._breakdown_table())
        for error in sorted({error for each in self.rounds for error in each.queue.errors}):
            console.print(f"[red]{error}[/]")
        if self.long_pdf is not None:
            self._show_long_pdf(console, self.long_pdf)

    def _accuracy_table(self) -> Table:
        table = _table(f"Words of {self.receipts} receipts", "", "precision", "recall", "F1")
        for name, score in (("through the queue", self.queue_score), ("directly", self.direct_score)):
            table.add_row(name, f"{score.precision:.4f}", f"{score.recall:.4f}", f"{score.f1:.4f}")
        return table

    def _speed_table(self) -> Table:
        columns: list[tuple[str, Callable[[Round], float]]] = [
            ("direct", lambda each: each.direct_seconds),
            ("queue", lambda each: each.queue_seconds),
            ("queue / direct", lambda each: each.ratio),
            ("CPU direct", lambda each: each.direct.cpu / self.receipts),
            ("CPU worker", lambda each: each.queue_cpu.get("ocr-1-worker", 0) / self.receipts),
            ("others' cores, direct", lambda each: each.direct_cpu.get("others", 0) / each.direct.wall),
            ("others' cores, queue", lambda each: each.queue_cpu.get("others", 0) / each.queue.wall),
        ]
        table = _table("Seconds per page", "round", *(name for name, _ in columns))
        for number, each in enumerate(self.rounds, 1):
            table.add_row(str(number), *(f"{value(each):.3f}" for _, value in columns))
        table.add_section()
        table.add_row("median", *(f"{_median(self.rounds, value):.3f}" for _, value in columns))
        return table

    def _breakdown_table(self) -> Table:
        table = _table("Milliseconds of a page (medians)", "", *(f"round {n}" for n in range(1, len(self.rounds) + 1)))
        rows: list[tuple[str, Callable[[Round], float]]] = [
            ("direct: open, decode, OCR", lambda each: median(each.direct.pages) * 1000),
            ("queue: plan to write", lambda each: each.times.processing),
            ("  decode and OCR", lambda each: each.times.reading),
            ("  fetch, open, plan, lease", lambda each: each.times.around),
            ("queue: write to next plan", lambda each: each.times.between),
        ]
        for name, value in rows:
            table.add_row(name, *(f"{value(each):.1f}" for each in self.rounds))
        table.add_section()
        for part in sorted({part for each in self.rounds for part in each.queue_cpu} - {"others", "direct"}):
            table.add_row(
                f"CPU of {part}", *(f"{each.queue_cpu.get(part, 0) * 1000 / self.receipts:.1f}" for each in self.rounds)
            )
        return table

    @staticmethod
    def _show_long_pdf(console: Console, long_pdf: LongPdf) -> None:
        console.print(
            f"\nA PDF of {long_pdf.pages} scanned pages: {long_pdf.seconds:.1f} s, "
            f"{long_pdf.seconds / long_pdf.pages:.3f} s per page, "
            f"{long_pdf.reading_seconds / long_pdf.seconds:.1%} of it reading pages."
        )
        for error in long_pdf.errors[:5]:
            console.print(f"[red]{error}[/]")


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _median(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    return round(median(value(each) for each in rounds), 4)


def score_json(score: WordScore) -> dict[str, float]:
    """Counts as they are, shares rounded to a ten-thousandth."""
    return {
        **asdict(score),
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
    }


def _round_json(each: Round) -> dict[str, Any]:
    return {
        "direct_seconds_per_page": round(each.direct_seconds, 4),
        "queue_seconds_per_page": round(each.queue_seconds, 4),
        "ratio": round(each.ratio, 4),
        "direct": {
            "wall_seconds": round(each.direct.wall, 3),
            "cpu_seconds": round(each.direct.cpu, 3),
            "page_seconds": [round(seconds, 4) for seconds in each.direct.pages],
            "idle_cores_before": round(each.direct_idle, 3),
            "others_cpu_seconds": round(each.direct_cpu.get("others", 0.0), 3),
        },
        "queue": {
            "wall_seconds": round(each.queue.wall, 3),
            "upload_seconds": round(each.queue.upload, 3),
            "cpu_seconds": {part: round(seconds, 3) for part, seconds in each.queue_cpu.items()},
            "median_milliseconds": {
                name: round(value, 2) for name, value in asdict(each.times).items() if name != "wall"
            },
            "wall_seconds_in_database": round(each.times.wall, 3),
            "idle_cores_before": round(each.queue_idle, 3),
        },
    }
