"""When remote jobs are worth it, and who gets them."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quire.burst.assignment import Limits, choose
from quire.burst.model import Work
from quire.database.remote_jobs import Candidate
from quire.page_ranges import format_pages, select_pages

LIMITS = Limits(cold_start_seconds=60, patience_seconds=10, job_pages=50, document_jobs=4, room=10)


def work(waiting: int, rate: float, oldest: float = 100) -> Work:
    return Work(waiting, 0, oldest, 0.2, rate)


def candidate(number: int, pages: int, *, open_jobs: int = 0, ticket_pages: int = 0) -> Candidate:
    return Candidate(UUID(int=number), False, pages, open_jobs, ticket_pages)


def sent(work: Work, *candidates: Candidate, limits: Limits = LIMITS, open_jobs: int = 0):
    choice = choose(work, candidates, limits, open_jobs=open_jobs)
    return [(each.document_id.int, each.pages) for each in choice.assignments]


def test_nothing_is_sent_that_local_workers_read_before_a_remote_one_has_started():
    assert sent(work(120, 2.0), candidate(1, 120)) == []
    assert sent(work(0, 2.0)) == []
    assert sent(work(0, 0)) == []


def test_what_outlives_the_start_is_sent_and_what_is_read_by_then_stays():
    assert sent(work(300, 2.0), candidate(1, 100), candidate(2, 200)) == [(2, 50), (2, 50), (2, 50), (2, 30)]


def test_without_local_workers_everything_is_sent_but_not_at_once():
    assert sent(work(3, 0), candidate(1, 3)) == [(1, 3)]
    assert sent(work(3, 0, oldest=5), candidate(1, 3)) == []


def test_once_there_are_jobs_half_of_the_start_is_enough():
    assert sent(work(100, 2.0), candidate(1, 100)) == []
    assert sent(work(100, 2.0), candidate(1, 100), open_jobs=1) == [(1, 40)]
    assert sent(work(60, 2.0), candidate(1, 60), open_jobs=1) == []


def test_pages_that_jobs_are_going_to_read_count_for_nothing():
    assert sent(work(300, 2.0), candidate(1, 300, open_jobs=4, ticket_pages=200), open_jobs=4) == []
    assert sent(work(500, 0), candidate(1, 500, open_jobs=3, ticket_pages=150), open_jobs=3) == [(1, 50)]


def test_documents_take_turns_and_a_long_one_has_no_more_than_its_share():
    choice = sent(work(1002, 0), candidate(1, 1000), candidate(2, 1), candidate(3, 1))
    assert choice == [(1, 50), (2, 1), (3, 1), (1, 50), (1, 50), (1, 50)]


@pytest.mark.parametrize(("room", "most"), [(2, 2), (0, 0), (-3, 0)])
def test_no_more_is_sent_than_there_is_room_for(room, most):
    limits = Limits(60, 10, 50, 4, room)
    assert len(sent(work(1000, 0), candidate(1, 1000), limits=limits)) == most


@example([(1, 0, 0), (0, 0, 0)], 5e-324, 1, 1, 1)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), st.integers(0, 400)), max_size=12),
    st.floats(0, 20),
    st.integers(0, 30),
    st.integers(1, 150),
    st.integers(1, 6),
)
def test_whatever_waits_the_limits_hold(found, rate, room, job_pages, document_jobs):
    candidates = [
        candidate(number, pages, open_jobs=jobs, ticket_pages=covered)
        for number, (pages, jobs, covered) in enumerate(found)
    ]
    waiting = sum(each.free_pages for each in candidates)
    limits = Limits(60, 10, job_pages, document_jobs, room)
    assignments = choose(work(waiting, rate), candidates, limits, open_jobs=0).assignments
    assert len(assignments) <= room
    for each in candidates:
        its = [one.pages for one in assignments if one.document_id == each.document_id]
        assert len(its) + each.open_jobs <= max(document_jobs, each.open_jobs)
        assert sum(its) <= max(0, each.free_pages - each.ticket_pages)
        assert all(0 < pages <= job_pages for pages in its)


@given(st.sets(st.integers(1, 500), min_size=1, max_size=120).map(sorted))
def test_page_numbers_as_a_range_select_themselves(numbers):
    assert select_pages(format_pages(numbers), 500) == numbers


def test_a_range_is_as_short_as_it_can_be():
    assert format_pages([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
