"""`make chaos`: read documents while all around is killed, stopped, emptied or away; count the pages."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from benchmarks.arguments import one_of, positive
from tests.chaos.report import save, show
from tests.chaos.run import Options, run
from tests.chaos.schedule import KINDS

console = Console(highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save. The exit status: 1 if a promise was broken, 130 if it was interrupted."""
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="quire-chaos-") as folder:
            try:
                result = run(_options(options), Path(folder), console.print)
            finally:
                logs = Path(folder, "stack", "logs")
                if options.logs is not None and logs.is_dir():
                    shutil.copytree(logs, options.logs, dirs_exist_ok=True)
    except KeyboardInterrupt:
        console.print("\nInterrupted; everything is stopped.")
        return 130
    show(result, console)
    save(result, options.output)
    console.print(f"Saved to {options.output}")
    return 0 if result.kept else 1


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Once is enough: a second one would interrupt the stopping.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options(parsed: argparse.Namespace) -> Options:
    given = vars(parsed)
    return Options(**{name: given[name] for name in Options.__dataclass_fields__})


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    usual = Options()

    def add(name: str, kind: Callable[[str], float], text: str) -> None:
        default = getattr(usual, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, default=default, metavar="N", help=f"{text} (default: {default:g})")

    add("pages", positive, "pages of all documents together")
    add("seed", int, "draws sizes, times and victims")
    add("workers", positive, "workers that read pages")
    add("every", float, "seconds from one fault to the next, on average")
    add("rounds", positive, "how often each kind of fault happens at least")
    add("page-milliseconds", float, "what a page costs the fake engine")
    add("deadly", int, "pages that the fake engine does not survive")
    add("outage-seconds", float, "how long Postgres or the object storage is away")
    add("long-outage-seconds", float, "how long Postgres is away the first time")
    add("lease-seconds", positive, "how long a lease lives")
    add("fault-seconds", float, "no more faults after this time")
    add("patience", float, "seconds without a page, after the last fault, until the rest counts as stuck")
    parser.add_argument(
        "--faults", dest="kinds", type=one_of(KINDS), default=KINDS, metavar="A,B", help=f"from {', '.join(KINDS)}"
    )
    add("message-patience", float, "seconds in which webhooks must arrive after that")
    parser.add_argument(
        "--once", dest="go_on", action="store_false", help="no more faults once each has happened as often as asked"
    )
    parser.add_argument("--engine", choices=("fake", "lean"), default=usual.engine, help="default: fake")
    parser.add_argument("--output", type=Path, default=Path(".quire/chaos.json"), metavar="PATH", help="JSON file")
    parser.add_argument("--logs", type=Path, metavar="PATH", help="folder to copy every process's log to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
