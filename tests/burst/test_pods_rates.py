"""Who reads how fast, where only what all of them read together is known."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import text

from quire.burst.rates import Crew, Rates, learn, local_rate
from quire.database import burst, workers
from quire.database.engine import transaction
from tests.burst.pods_bench import opened_bench


def taught(rates: Rates, rate: float, crew: Crew, looks: int = 80) -> Rates:
    for _ in range(looks):
        rates = learn(rates, rate, crew, expected_page_seconds=0.5)
    return rates


def test_what_is_read_beyond_the_local_workers_is_read_by_pods():
    rates = taught(Rates(), 2.0, Crew(4, 0, True))
    assert local_rate(rates, Crew(2, 3, False)) == pytest.approx(1.0)
    rates = taught(rates, 2.0 + 3 * 5, Crew(4, 3, True))
    assert rates.page_seconds == pytest.approx(0.2)
    assert rates.local_process == pytest.approx(0.5)


@pytest.mark.parametrize("crew", [Crew(4, 0, False), Crew(0, 0, True), Crew(4, 2, False)])
def test_nothing_is_learned_while_workers_come_or_idle(crew):
    assert taught(Rates(), 3.0, crew) == Rates()


def test_a_wrong_number_stays_within_reason():
    assert taught(Rates(), 1e-6, Crew(0, 1, True)).page_seconds == pytest.approx(10)
    assert taught(Rates(), 1e6, Crew(0, 1, True)).page_seconds == pytest.approx(0.025)


def test_local_workers_are_told_from_pods(emptied_database):
    with opened_bench(emptied_database) as bench:
        bench.submit(100)
        with transaction(bench.database) as session:
            burst.begin(session)
            for pod_id, queue in ((None, "ocr"), (None, "default"), (None, "default,ocr")):
                beat = workers.Heartbeat(uuid.uuid4(), "w", "h", queue, pod_id, 2, False, True, 900.0)
                workers.note(session, beat)
            read = "UPDATE pages SET status = 'done', attempts = 1, finished_at = now() - interval '1 s' * number"
            session.execute(text(f"{read} WHERE number <= 40"))

        def seen():
            with transaction(bench.database) as session:
                return burst.observe_work(session, ocr_queue="ocr", expected_page_seconds=0.5)

        work = seen()
        assert (work.waiting_pages, work.page_seconds) == (60, 0.5)
        assert work.local_pages_per_second == pytest.approx(1.0, rel=0.1)
        with transaction(bench.database) as session:
            workers.note(session, workers.Heartbeat(uuid.uuid4(), "p", "h", "ocr", "pod1", 2, False, True, 900.0))
            session.execute(text(f"{read} WHERE number BETWEEN 41 AND 50"))
            session.execute(text("UPDATE pages SET finished_at = now() - interval '10 s' WHERE status = 'done'"))
        work = seen()
        assert work.local_pages_per_second == pytest.approx(1.0, rel=0.1)
        assert work.page_seconds == pytest.approx(1 / 4, rel=0.1)
