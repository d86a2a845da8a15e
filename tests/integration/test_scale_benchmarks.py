"""The benchmarks of scale run, at sizes that take seconds, and what they compute is what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from benchmarks.receipts import ROOT
from benchmarks.scale.fairness import summary
from benchmarks.scale.leases import Measured, medians
from benchmarks.scale.plans import full_scans, recorded
from benchmarks.scale.receipt_pages import receipt_page
from benchmarks.scale.summary import rows
from quire.contracts import PageText


def run(module: str, output: Path, *arguments: str) -> dict[str, Any]:
    """What a benchmark saves; in a process of its own, since it reads the environment."""
    path = os.pathsep.join(str(ROOT / part) for part in ("apps/worker", "packages/shared"))
    command = [sys.executable, "-m", f"benchmarks.scale.{module}", *arguments, "--output", str(output)]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return dict(json.loads(output.read_text()))


def test_leases_are_measured(tmp_path: Path):
    figures = run("leases", tmp_path / "leases.json", "--clients", "1", "--seconds", "0.2", "--rounds", "1")
    assert figures["postgres"]["fsync"] == figures["postgres"]["synchronous_commit"] == "on"
    for case, (measured,) in figures["rounds"].items():
        assert measured["pages"] > 0, case
        assert measured["wal_bytes_per_page"] > 1000, case
    assert figures["stored"]["words"] > 1000


def test_what_waits_costs_no_scan_and_no_memory_in_redis(tmp_path: Path):
    figures = run(
        "million",
        tmp_path / "million.json",
        "--documents",
        "20000",
        "--seconds",
        "0.2",
        "--times",
        "2",
        "--clients",
        "1",
    )
    assert figures["fair"]
    assert {name: step["full_scans"] for name, step in figures["steps"].items() if step["full_scans"]} == {}
    memory = figures["redis_bytes"]
    assert memory["all_waiting"] == pytest.approx(memory["few_waiting"], rel=0.1)
    assert figures["tickets_in_redis"] == figures["dispatch_window"]


def test_receipts_are_of_the_size_they_say():
    page = receipt_page(7)
    assert page == receipt_page(7) != receipt_page(7, seed=1)
    assert PageText.model_validate_json(page.model_dump_json()) == page
    assert (len(page.detections), 20_000 < len(page.model_dump_json()) < 30_000) == (50, True)


def test_a_full_scan_is_found_and_a_look_into_an_index_is_none(database: Engine):
    with recorded(database) as statements, database.connect() as connection:
        connection.execute(text("SELECT count(*) FROM documents WHERE filename = :name"), {"name": "x"})
        connection.execute(text("SELECT 1"))
    assert full_scans(database, statements) == ["documents"]
    with database.begin() as connection:
        connection.execute(text("SET enable_seqscan = off"))
    with recorded(database) as statements, database.connect() as connection:
        connection.execute(text("SELECT id FROM documents WHERE status = 'queued' ORDER BY created_at LIMIT 1"))
    assert full_scans(database, statements) == []


def test_medians_are_over_rounds():
    rounds = [Measured(10, rate, 1.0, 2.0, 0.5, 0.0, 100.0, 1.0, 1.0) for rate in (10.0, 30.0, 20.0)]
    assert (medians(rounds)["pages_per_second"], medians(rounds)["best_pages_per_second"]) == (20.0, 30.0)


def test_the_ratio_of_waits_is_taken_within_a_round():
    def round_of(without: float, beside: float) -> dict[str, dict[str, float]]:
        return {"no book": {"median_seconds": without}, "beside a book": {"median_seconds": beside}}

    found = summary([round_of(1, 1.5), round_of(10, 30), round_of(2, 4)])
    assert found["ratios"] == {"beside a book": 2.0}
    assert found["medians"]["no book"]["median_seconds"] == 2


def test_the_summary_names_the_command_of_what_was_not_measured():
    table = rows({"tickets": {"one_page_documents": {"milliseconds_per_page": 20.0}, "pages": 1000,
                              "a_long_document": {"milliseconds_per_page": 2.0}}}, {"redis-flush": 1.25})  # fmt: skip
    found = {name: (value, command) for name, value, command in table}
    assert found["lease throughput"] == ("not measured", "python -m benchmarks.scale.leases")
    assert found["overhead of tickets a page"][0] == "20.0 ms in documents of one page, 2.0 ms in one of 1,000"
    assert found["recovery after a fault"] == ("redis-flush 1.2 s", "make chaos")
