"""The audit of pinned packages finds what is known, and nothing among our own pins."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
assert _spec is not None
audit = importlib.util.module_from_spec(_spec)
assert _spec.loader is not None
_spec.loader.exec_module(audit)


def test_a_pin_older_than_the_fix_is_found(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("jinja2==3.1.5 \\\n    --hash=sha256:00\nurllib3==2.6.0\n")
    assert audit.from_list(requirements) == ["jinja2 3.1.5: CVE-2025-27516, fixed in 3.1.6"]


def test_of_versions_that_differ_by_platform_each_is_looked_at(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("h11==0.16.0 ; python_version >= '3.12' \\\nh11==0.14.0 ; python_version < '3.12' \\\n")
    assert len(audit.from_list(requirements)) == 1


def test_what_is_pinned_here_is_not_on_the_list():
    assert len(audit.pinned(ROOT / "requirements.txt")) > 100
    assert audit.from_list(ROOT / "requirements.txt") == []
