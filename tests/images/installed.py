"""A virtual environment with the packages of some requirement files and no others, linked from this one."""

from __future__ import annotations

import re
import sys
import sysconfig
import venv
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The same modules for another device: this machine has the one for CPUs.
_STAND_INS = {"onnxruntime-gpu": "onnxruntime"}


def make_environment(folder: Path, files: Iterable[Path]) -> Path:
    """Make it in `folder`, with the programs that the packages bring; its `bin`."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for requirement in _requirements(files):
        found = _find(requirement)
        _link(found, packages)
        _write_programs(found, folder / "bin")
    return folder / "bin"


def _requirements(files: Iterable[Path]) -> list[Requirement]:
    lines = [line for file in files for line in re.findall(r"^[a-z0-9][^\s;]*==[^\\]+", file.read_text(), re.M)]
    found = {line.strip() for line in lines}
    return [requirement for line in sorted(found) if _is_for_here(requirement := Requirement(line))]


def _is_for_here(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def _find(requirement: Requirement) -> Distribution:
    name = canonicalize_name(requirement.name)
    found = _installed()[_STAND_INS.get(name, name)]
    # What is tested is what an image installs.
    assert name in _STAND_INS or requirement.specifier.contains(found.version, prereleases=True), requirement
    return found


@cache
def _installed() -> dict[str, Distribution]:
    # The first on the path is what is imported: setuptools appends a folder with older copies of some packages.
    return {canonicalize_name(found.metadata["Name"]): found for found in reversed(list(distributions()))}


@cache
def _owners() -> Counter[str]:
    """How many packages put something into each top-level folder."""
    return Counter(top for found in _installed().values() for top in {Path(file).parts[0] for file in _files(found)})


def _files(found: Distribution) -> Sequence[str]:
    files = [str(file) for file in found.files or ()]
    return [file for file in files if not file.startswith(("..", "/", "__pycache__"))]


def _link(found: Distribution, packages: Path) -> None:
    here = Path(sysconfig.get_path("purelib"))
    for file in _files(found):
        top = Path(file).parts[0]
        path = file if _owners()[top] > 1 else top
        target = packages / path
        if not target.exists() and (here / path).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(here / path)


def _write_programs(found: Distribution, folder: Path) -> None:
    for entry in found.entry_points.select(group="console_scripts"):
        program = folder / entry.name
        module, _, function = entry.value.partition(":")
        program.write_text(
            f"#!{folder / 'python'}\nimport sys\nfrom {module} import {function.partition('.')[0].partition(' ')[0]}\n"
            f"sys.exit({function.partition(' ')[0]}())\n",
            encoding="utf-8",
        )
        program.chmod(0o755)
