"""`python -m tests.fuzz --cases 20000 --seed 7`: read damaged documents; what does not end well is kept."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.conftest import DATA
from tests.fuzz.cases import run_cases
from tests.fuzz.corpus import corpus


def main() -> int:
    """Run the cases and say how they ended; 1 if any failed."""
    arguments = _arguments()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    numbers = range(arguments.first, arguments.first + arguments.cases)
    started = time.monotonic()
    codes, failures = run_cases(corpus(arguments.data), arguments.seed, numbers, arguments.keep)
    for failure in failures:
        print(f"{failure.name}\n  {failure.path}\n  {failure.reason}", file=sys.stderr)
    print(f"{len(numbers):,} cases in {time.monotonic() - started:.0f} s, {len(failures)} failed")
    print(", ".join(f"{code}: {count:,}" for code, count in codes.most_common()))
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first one")
    parser.add_argument("--seed", type=int, default=1, help="other seeds make other cases")
    parser.add_argument("--keep", type=Path, default=Path(".quire/fuzz"), help="folder for files that failed")
    parser.add_argument("--data", type=Path, default=DATA / "documents", help="folder of real documents to damage too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
