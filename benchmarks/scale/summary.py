"""The figures of scale that `make bench` prints, from what was saved last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.receipts import ROOT
from benchmarks.scale.results import load

_MEASURED = ("leases", "million", "tickets", "fairness", "queueing")
_CHAOS = ROOT / ".quire" / "chaos.json"


def show(console: Console) -> None:
    """Print them; what has not been measured names the command that does."""
    table = Table(title="Scale", title_justify="left")
    for column in ("", "measured", "by"):
        table.add_column(column)
    for name, value, command in rows({name: load(name) for name in _MEASURED}, _recoveries(_CHAOS)):
        table.add_row(name, value, command)
    console.print(table)


def rows(
    figures: Mapping[str, Mapping[str, Any] | None], recoveries: Mapping[str, float]
) -> list[tuple[str, str, str]]:
    """What was measured, the figure as text, and the command behind it."""
    made = [
        ("lease throughput", _leases(figures.get("leases")), "benchmarks.scale.leases"),
        ("overhead of tickets a page", _tickets(figures.get("tickets")), "benchmarks.scale.tickets"),
        ("documents accepted", _enqueue(figures.get("million")), "benchmarks.scale.million"),
        ("Redis memory", _memory(figures.get("million")), "benchmarks.scale.million"),
        ("waits beside a book", _fairness(figures.get("fairness")), "benchmarks.scale.fairness"),
    ]
    recovered = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in recoveries.items())
    return [
        *((name, value or "not measured", f"python -m {module}") for name, value, module in made),
        ("recovery after a fault", recovered or "not measured", "make chaos"),
    ]


def _leases(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    return ", ".join(f"{case}: {row['pages_per_second']:,.0f} pages/s" for case, row in figures["medians"].items())


def _tickets(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    one, long = (figures[name]["milliseconds_per_page"] for name in ("one_page_documents", "a_long_document"))
    return f"{one:.1f} ms in documents of one page, {long:.1f} ms in one of {figures['pages']:,}"


def _enqueue(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    rates = figures["enqueue_documents_per_second"].items()
    return ", ".join(f"{clients} clients: {rate:,.0f}/s" for clients, rate in rates)


def _memory(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    memory = figures["redis_bytes"]
    return f"{memory['all_waiting'] / 1e6:.1f} MB at {memory['waiting_all']:,} waiting documents"


def _fairness(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return ""
    return ", ".join(f"{case}: {ratio:.2f} times" for case, ratio in figures["ratios"].items())


def _recoveries(path: Path) -> dict[str, float]:
    """Median seconds until the next page, by kind of fault, from the last `make chaos`."""
    if not path.is_file():
        return {}
    waits: dict[str, list[float]] = {}
    for fault in json.loads(path.read_text(encoding="utf-8")).get("faults", ()):
        if fault["recovery_seconds"] is not None:
            waits.setdefault(fault["kind"], []).append(fault["recovery_seconds"])
    return {kind: median(seconds) for kind, seconds in waits.items()}
