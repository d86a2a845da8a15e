"""Figures as JSON in `benchmarks/results`, with the machine they were measured on and how busy it was."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results"


def add_output(parser: argparse.ArgumentParser, name: str) -> None:
    """The option `--output`, by default `benchmarks/results/NAME.json`."""
    parser.add_argument(
        "--output", type=Path, default=RESULTS / f"{name}.json", metavar="PATH", help="JSON file (default: %(default)s)"
    )


def save(path: Path, machine: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write figures and the facts about the machine, which were gathered before they were measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {**machine, "load_averages_after": [round(load, 2) for load in os.getloadavg()]}
    path.write_text(json.dumps({"machine": facts, **figures}, indent=2) + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any] | None:
    """The figures last saved under a name; None where there are none."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


__all__ = ["RESULTS", "add_output", "load", "machine_facts", "save"]
