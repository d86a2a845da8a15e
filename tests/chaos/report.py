"""The result of a run as tables for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.checker import PROMISES
from tests.chaos.run import Result
from tests.chaos.schedule import KINDS

_SHOWN: Final = 10

_MISANSWERED: Final = "misanswered"
_UNHEARD: Final = "unheard"
_MEANINGS: Final = {
    "lost": "pages neither read nor given up",
    "doubled": "documents whose counters and rows disagree",
    "wrong": "pages with another text than theirs",
    "stuck": "documents that have not ended",
    "misstated": "documents whose status is not that of their pages",
    "unjustified": "failed, but not because attempts were used up",
    "leases_left": "pages that somebody still holds",
    "unacknowledged": "documents that their submitter was not told of",
    "unannounced": "documents without exactly one message for their end",
    _MISANSWERED: "uploads refused otherwise than with 503",
    _UNHEARD: "messages that did not reach their endpoint",
}


def to_json(result: Result) -> dict[str, Any]:
    """Everything about a run; times in seconds, `at` since 1970."""
    faults = [
        asdict(struck) | {"recovery_seconds": recovery}
        for struck, recovery in zip(result.struck, result.recoveries, strict=True)
    ]
    names = ("seconds", "longest_wait", "unsubmitted", "misanswered", "unheard", "storage_faults", "notes")
    plain = {name: getattr(result, name) for name in names}
    plain |= {"refusals": _refusals(result), "messages": asdict(result.messages)}
    findings = asdict(result.findings)
    return {"kept": result.kept, "options": asdict(result.options), **plain, "findings": findings, "faults": faults}


def save(result: Result, path: Path) -> None:
    """Write the JSON; folders are made where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(result), indent=2) + "\n", encoding="utf-8")


def show(result: Result, console: Console) -> None:
    """Print the tables, and the first of what is wrong."""
    findings = result.findings
    console.print()
    console.print(_faults(result))
    console.print(_promises(result))
    begun = ", ".join(f"{pages:,} pages {_times(attempts)}" for attempts, pages in findings.attempts.items())
    failures = ", ".join(f"{number} {code}" for code, number in findings.failures.items()) or "none"
    console.print(
        f"{findings.documents} documents of {findings.pages:,} pages in {result.seconds} s, read: {findings.done:,}"
    )
    console.print(f"Begun: {begun}. Longest time without a page: {result.longest_wait:.1f} s.")
    console.print(f"Failed: {failures}; {findings.deadly} of these pages end whoever reads them.")
    refusals = ", ".join(f"{number} {answer}" for answer, number in _refusals(result).items()) or "none"
    console.print(f"Uploads tried again: {refusals}; never accepted: {result.unsubmitted}.")
    messages = result.messages
    console.print(
        f"Webhooks: {messages.delivered} delivered, {messages.repeated} of them more than once, "
        f"{messages.pending} pending, {messages.failed} given up."
    )
    faults = ", ".join(f"{number} {kind}" for kind, number in sorted(result.storage_faults.items())) or "none"
    console.print(f"Requests to the object storage that met a fault: {faults}.")
    for name, found in findings.broken.items():
        for line in found[:_SHOWN]:
            console.print(f"[red]{name}[/]: {escape(line)}")
    for note in result.notes:
        console.print(f"[yellow]note[/]: {escape(note)}")


def _refusals(result: Result) -> dict[str, int]:
    """How many uploads were refused with each HTTP status, or had no answer."""
    return dict(Counter(str(refusal.status or "without an answer") for refusal in result.refusals))


def _times(attempts: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(attempts, f"{attempts} times")


def _faults(result: Result) -> Table:
    table = Table(title=f"Faults (seed {result.options.seed})", title_justify="left")
    table.add_column("")
    for column in ("times", "seconds to the next page: median", "most"):
        table.add_column(column, justify="right")
    for kind in KINDS:
        pairs = zip(result.struck, result.recoveries, strict=True)
        recoveries = [recovery for struck, recovery in pairs if struck.kind == kind]
        known = [recovery for recovery in recoveries if recovery is not None]
        if recoveries:
            times = (f"{median(known):.2f}", f"{max(known):.2f}") if known else ("–", "–")
            table.add_row(kind, str(len(recoveries)), *times)
    return table


def _promises(result: Result) -> Table:
    table = Table(title="Promises", title_justify="left")
    table.add_column("")
    table.add_column("broken", justify="right")
    table.add_column("")
    broken = {name: len(getattr(result.findings, name)) for name in PROMISES}
    broken |= {_MISANSWERED: result.misanswered, _UNHEARD: result.unheard}
    for name, meaning in _MEANINGS.items():
        number = broken[name]
        table.add_row(name, f"[red]{number}[/]" if number else "0", meaning)
    return table
