"""The README's tables have every code and every variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from quire import errors
from quire.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODES = sorted(
    {found.code for found in vars(errors).values() if isinstance(found, type) and issubclass(found, errors.QuireError)}
)


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_is_explained(code: str):
    assert f"`{code}`" in README


@pytest.mark.parametrize("variable", [name.upper() for name in Settings.model_fields])
def test_every_environment_variable_is_explained(variable: str):
    assert f"`{variable}`" in README
