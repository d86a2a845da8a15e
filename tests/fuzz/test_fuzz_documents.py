"""Damaged documents: no crash, no hang, and no error without a code of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DATA
from tests.fuzz.cases import make_case, run_cases
from tests.fuzz.corpus import corpus

SEED = 1
CASES = 2_000
GROUPS = 4


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return corpus(DATA / "documents")


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_damaged_document_is_read_or_refused_by_a_typed_error(tmp_path: Path, files: dict[str, bytes], group: int):
    numbers = range(group * CASES // GROUPS, (group + 1) * CASES // GROUPS)
    codes, failures = run_cases(files, SEED, numbers, tmp_path)
    assert not failures, "\n\n".join(f"{each.name}\n{each.path}\n{each.reason}" for each in failures)
    # Neither is everything refused at the door, nor is nothing damaged.
    assert codes["read"] > len(numbers) / 4
    assert codes["corrupt"] > len(numbers) / 20


def test_a_case_is_the_same_each_time_it_is_made(files: dict[str, bytes]):
    assert [make_case(files, 3, number) for number in range(20)] == [
        make_case(files, 3, number) for number in range(20)
    ]


def test_another_seed_makes_other_cases(files: dict[str, bytes]):
    assert make_case(files, 3, 1).content != make_case(files, 4, 1).content
