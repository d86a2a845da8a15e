"""`python requirements/size.py`: what each image's packages take on disk, in MiB, as they are installed here.

Byte code is left out: it depends on what has been imported. Packages for a GPU are counted where they are installed.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {
    "API": "apps/api/requirements.txt",
    "worker of the default queue": "apps/worker/requirements-default.txt",
    "worker of either queue": "apps/worker/requirements.txt",
}


def size(file: Path) -> float:
    """MiB of the packages that a requirement file names and this machine's Python needs."""
    lines = re.findall(r"^[a-z0-9][^\s;]*==[^\\\n]+", file.read_text(encoding="utf-8"), re.M)
    wanted = [Requirement(line.strip()) for line in lines]
    return sum(_size(each.name) for each in wanted if each.marker is None or each.marker.evaluate()) / 2**20


def _size(package: str) -> int:
    try:
        found = [Path(str(file.locate())) for file in files(package) or ()]
    except PackageNotFoundError:
        return 0
    return sum(path.stat().st_size for path in found if path.is_file() and path.suffix != ".pyc")


def main() -> None:
    """Print a line for each image."""
    for name, path in IMAGES.items():
        print(f"{size(ROOT / path):6.0f} MiB  {name} ({path})")


if __name__ == "__main__":
    main()
