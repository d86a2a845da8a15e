"""`python -m benchmarks.scale.tickets`: what the page flow costs a page, with an engine that costs nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import redis
from rich.console import Console

from benchmarks.arguments import positive
from benchmarks.cpu_time import cpu_seconds, parts_of, used_between, wait_until_idle
from benchmarks.scale.fake_stack import FakeStack, fake_stack
from benchmarks.scale.results import add_output, machine_facts, save

console = Console(highlight=False, soft_wrap=True)

_LONGEST_SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save."""
    options = _parse(arguments)
    machine = machine_facts()
    console.print("Starting Redis, Postgres, the API and a worker …")
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as name, fake_stack(Path(name), 1, 0) as stack:
        small, book = stack.store(1), stack.store(options.pages)
        stack.wait([stack.add(small, "warm-up") for _ in range(20)], _LONGEST_SECONDS)
        figures = {
            "one_page_documents": _measure(stack, small, options.documents, options.documents),
            "a_long_document": _measure(stack, book, 1, options.pages),
            "documents": options.documents,
            "pages": options.pages,
        }
    for title in ("one_page_documents", "a_long_document"):
        _show(title.replace("_", " "), figures[title])
    save(options.output, machine, figures)
    console.print(f"Saved to {options.output}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.tickets", description=__doc__)
    add = parser.add_argument
    add("--documents", type=positive, default=300, metavar="N", help="of one page (default: %(default)s)")
    add("--pages", type=positive, default=1000, metavar="N", help="of the long one (default: %(default)s)")
    add_output(parser, "tickets")
    return parser.parse_args(arguments)


def _measure(stack: FakeStack, key: str, count: int, pages: int) -> dict[str, Any]:
    """Milliseconds a page from the first beginning to the last end, CPU of each part, and what Redis was asked."""
    parts = parts_of(stack.stack)
    wait_until_idle(parts)
    before, asked = cpu_seconds(parts), _redis_commands(stack)
    ids: list[UUID] = [stack.add(key, "bench") for _ in range(count)]
    found = stack.wait(ids, _LONGEST_SECONDS)
    used, asked = used_between(before, cpu_seconds(parts)), _redis_commands(stack) - asked
    begun = min(document.started_at for document in found if document.started_at)
    ended = max(document.finished_at for document in found if document.finished_at)
    return {
        "milliseconds_per_page": round((ended - begun).total_seconds() * 1000 / pages, 3),
        "cpu_milliseconds_per_page": {part: round(seconds * 1000 / pages, 3) for part, seconds in used.items()},
        "redis_commands_per_page": round(asked / pages, 2),
    }


def _redis_commands(stack: FakeStack) -> int:
    with redis.Redis.from_url(stack.stack.redis.url) as client:
        return int(client.info("stats")["total_commands_processed"])


def _show(title: str, figures: Mapping[str, Any]) -> None:
    cpu = {part: value for part, value in figures["cpu_milliseconds_per_page"].items() if part != "others"}
    parts = ", ".join(f"{part} {value:.1f}" for part, value in cpu.items())
    console.print(
        f"{title}: {figures['milliseconds_per_page']:.1f} ms a page, {figures['redis_commands_per_page']:.1f} Redis "
        f"commands; ms of CPU: {parts}"
    )


if __name__ == "__main__":
    sys.exit(main())
