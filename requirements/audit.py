"""Look the pinned packages up among known vulnerabilities: `pip-audit`, or where its service cannot be reached, a list.

    python requirements/audit.py [requirements.txt …]

The list, `advisories.csv`, has the newest advisory known for each of the packages most exposed, and the version that
fixes it. It is no replacement for the service: it only keeps a pin from going back.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pinned(requirements: Path) -> dict[str, list[Version]]:
    """The versions a compiled requirement file names, by package: several where they differ by platform."""
    found: dict[str, list[Version]] = {}
    for name, version in _PIN.findall(requirements.read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


def from_service(requirements: Path) -> list[str] | None:
    """Findings of `pip-audit`, a line each; None where its service does not know the packages or does not answer."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(requirements), "--no-deps", "--disable-pip"]
    try:
        run = subprocess.run(  # noqa: S603
            [*command, "--format", "json", "--progress-spinner", "off", "--timeout", "5"],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        packages = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    known = [package for package in packages if "vulns" in package]
    if not known:
        return None
    return [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for package in known
        for found in package["vulns"]
    ]


def from_list(requirements: Path) -> list[str]:
    """Packages that are older than an advisory's fix."""
    versions = pinned(requirements)
    with (HERE / "advisories.csv").open(encoding="utf-8", newline="") as file:
        return [
            f"{row['package']} {version}: {row['advisory']}, fixed in {row['fixed']}"
            for row in csv.DictReader(file)
            for version in versions.get(canonicalize_name(row["package"]), [])
            if version < Version(row["fixed"])
        ]


def main(files: list[str]) -> int:
    """The exit status: 1 if anything was found."""
    status = 0
    for requirements in map(Path, files or [str(HERE.parent / "requirements.txt")]):
        findings = from_service(requirements)
        by = "pip-audit" if findings is not None else "the list of advisories (pip-audit's service has no answer here)"
        findings = from_list(requirements) if findings is None else findings
        print(f"{requirements.name}, by {by}: {len(findings) or 'no'} known vulnerabilities")
        for finding in findings:
            print(f"  {finding}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
