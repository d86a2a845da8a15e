"""Remote jobs, one at a time: what each way to end costs, in both modes."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from quire.burst.model import Work
from quire.burst.serverless import _ADVISORY_LOCK
from quire.database import backlog
from quire.database.engine import statements, transaction
from quire.database.turns import take_waiting
from quire.deletion import delete_document
from tests.burst.fake_endpoint import Fate
from tests.burst.serverless_bench import BUCKET, ServerlessBench, opened_bench
from tests.burst.test_serverless_client import faults
from tests.pdfs import write_scanned_pdf


@pytest.fixture(params=["tickets", "ranges"])
def bench(request: pytest.FixtureRequest, emptied_database: Engine, tmp_path: Path) -> Iterator[ServerlessBench]:
    """Of an endpoint that reaches the database, and of one that does not."""
    with opened_bench(emptied_database, tmp_path, quire_burst_remote_database=request.param == "tickets") as made:
        yield made


@pytest.fixture
def tickets(emptied_database: Engine, tmp_path: Path) -> Iterator[ServerlessBench]:
    with opened_bench(emptied_database, tmp_path) as made:
        yield made


@pytest.fixture
def ranges(emptied_database: Engine, tmp_path: Path) -> Iterator[ServerlessBench]:
    with opened_bench(emptied_database, tmp_path, quire_burst_remote_database=False) as made:
        yield made


def until_read(bench: ServerlessBench, *documents, ticks: int = 12) -> None:
    """Let controller and endpoint work until the documents are read and no job is left."""
    for _ in range(ticks):
        report = bench.tick()
        if not report.open_jobs and all(bench.document(each).status == "completed" for each in documents):
            break
        bench.endpoint.work(10)
        bench.pass_time(15)
    for each in documents:
        bench.require_read(each)
    assert not bench.rows("sending", "unknown", "queued", "running")


def test_a_document_that_nobody_has_opened_is_read_without_any_local_worker(bench):
    document = bench.submit(23, waits=True)
    until_read(bench, document)
    for job in bench.endpoint.jobs.values():
        assert len(str(job.input)) < 300
        assert job.input["task"] == "tasks.ocr_pdf_document"
    with transaction(bench.database) as session:
        assert take_waiting(session, most=5) == [], "its turn was served"


def test_what_is_sent_are_ids_and_keys(tickets):
    document = tickets.submit(3)
    assert tickets.tick().sent == 1
    (job,) = tickets.endpoint.jobs.values()
    assert job.input == {"task": "tasks.ocr_pdf_document", "payload": {"document_id": str(document)}}
    assert job.policy == {"executionTimeout": 60_000, "ttl": 120_000}


def test_without_a_database_there_are_key_pages_and_options(ranges):
    ranges.opened(12, pages="2-4,6-", dpi=120)
    assert ranges.tick().sent == 1
    (job,) = ranges.endpoint.jobs.values()
    assert job.input["payload"] == {"key": "12.pdf", "bucket": BUCKET, "pages": "2-4,6-12", "dpi": 120}


def test_a_document_in_many_parts_is_read_in_as_many_jobs_as_it_may_have(ranges):
    document = ranges.opened(95)
    assert ranges.tick().sent == 4
    asked = [job.input["payload"]["pages"] for job in ranges.endpoint.jobs.values()]
    assert asked == ["1-10", "11-20", "21-30", "31-40"]
    until_read(ranges, document)


def test_pages_of_an_unopened_document_are_those_that_were_asked_for(ranges):
    document = ranges.submit(30, pages="28-,2,4-5")
    ranges.tick()
    (job,) = ranges.endpoint.jobs.values()
    assert job.input["payload"]["pages"] == "2,4-5,28-34"
    until_read(ranges, document)
    assert sorted(ranges.pages(document)) == [2, 4, 5, 28, 29, 30]


def test_one_page_by_its_number(bench):
    document = bench.submit(9, page_number=7)
    until_read(bench, document)
    assert list(bench.pages(document)) == [7]


@pytest.mark.parametrize(
    ("fate", "state"),
    [
        ("dies_first", "failed"),
        ("dies_last", "failed"),
        ("times_out", "timed_out"),
        ("forgotten_first", "lost"),
        ("forgotten_last", "lost"),
        ("no_output", None),
    ],
)
def test_a_job_that_comes_to_nothing_costs_a_lease(bench, fate: Fate, state):
    document = bench.opened(6)
    bench.tick()
    job = bench.endpoint.begin()
    assert bench.tick().open_jobs == 1
    bench.endpoint.finish(job, fate)
    bench.pass_time(15)
    report = bench.tick()
    if state is not None:
        assert report.ended == {state: 1}
    bench.pass_time(60)
    until_read(bench, document)


def test_a_job_that_never_runs_is_cancelled_and_its_pages_are_free(bench):
    document = bench.opened(6)
    bench.tick()
    bench.pass_time(61)
    report = bench.tick()
    assert report.ended == {"expired": 1}
    assert next(iter(bench.endpoint.jobs.values())).status == "CANCELLED"
    assert all(page.attempts == 0 for page in bench.pages(document).values())
    until_read(bench, document)


def test_a_job_that_the_platform_has_forgotten_was_never_begun(bench):
    document = bench.opened(6)
    bench.tick()
    bench.endpoint.jobs.clear()
    assert bench.tick().ended == {"expired": 1}
    until_read(bench, document)


@pytest.mark.parametrize("is_at_work", [False, True])
def test_cancelling_a_document_cancels_its_jobs(bench, is_at_work):
    document = bench.opened(30)
    assert bench.tick().sent == 3
    if is_at_work:
        bench.endpoint.begin()
        bench.tick()
    bench.cancel(document)
    report = bench.tick()
    assert report.ended == {"cancelled": 3}
    assert {job.status for job in bench.endpoint.jobs.values()} == {"CANCELLED"}
    assert (report.open_jobs, bench.tick().sent) == (0, 0)
    assert {page.status for page in bench.pages(document).values()} == {"pending"}


def test_a_document_is_cancelled_at_the_endpoint_while_the_controller_waits(tickets):
    document = tickets.opened(30)
    tickets.tick()
    seen: list[set[str]] = []

    def cancel() -> None:
        tickets.cancel(document)

    timer = threading.Timer(0.3, cancel)
    timer.start()
    tickets.burst.wait(2.0)
    timer.join()
    seen.append({job.status for job in tickets.endpoint.jobs.values()})
    assert seen == [{"CANCELLED"}]


def test_deleting_a_document_cancels_its_jobs(bench):
    document = bench.opened(12)
    bench.tick()
    assert delete_document(bench.settings, bench.store, document, bench.database)
    assert bench.tick().ended == {"cancelled": 2}
    assert {job.status for job in bench.endpoint.jobs.values()} == {"CANCELLED"}


def test_what_local_workers_have_read_meanwhile_is_taken_out_of_the_queue(tickets):
    document = tickets.opened(6)
    tickets.tick()
    tickets.flow().work(document)
    tickets.require_read(document)
    assert tickets.tick().ended == {"cancelled": 1}
    assert not tickets.endpoint.open_jobs


@pytest.mark.parametrize("fault", ["lost done", "502 done"])
def test_a_job_whose_answer_was_lost_is_not_sent_again_and_has_its_time(bench, fault):
    document = bench.opened(6)
    faults(bench.endpoint, fault)
    report = bench.tick()
    assert (report.sent, report.open_jobs, len(bench.endpoint.jobs)) == (0, 1, 1)
    assert "lost" in str(report.trouble)
    (row,) = bench.rows("unknown")
    bench.pass_time(15)
    bench.endpoint.work(10)
    until_read(bench, document, ticks=16)
    (row,) = [each for each in bench.rows() if each.id == row.id]
    assert row.state == "lost"
    assert len(bench.endpoint.jobs) <= 2


def test_a_lost_answer_to_a_job_that_never_was_is_found_out(bench):
    bench.opened(6)
    faults(bench.endpoint, "lost")
    bench.tick()
    assert not bench.endpoint.jobs
    bench.pass_time(61)
    assert bench.tick().ended == {"lost": 1}


def test_a_controller_that_was_killed_while_it_sent_leaves_a_job_that_counts(bench, monkeypatch):
    document = bench.opened(6)

    def killed(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.burst._client, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.tick()
    monkeypatch.undo()
    assert [row.state for row in bench.rows()] == ["sending"]
    assert bench.tick().open_jobs >= 1
    until_read(bench, document, ticks=20)


def test_a_result_for_a_lease_that_has_run_out_is_not_written(ranges):
    document = ranges.opened(6)
    ranges.tick()
    ranges.endpoint.work()
    ranges.run_out_leases()
    ranges.flow().work(document)
    read_here = {number: page.finished_at for number, page in ranges.pages(document).items()}
    report = ranges.tick()
    assert (report.pages, report.ended) == (0, {"completed": 1})
    assert {number: page.finished_at for number, page in ranges.pages(document).items()} == read_here
    ranges.require_read(document)


def test_pages_that_were_begun_before_are_in_fewer_hands_at_a_time(ranges):
    document = ranges.opened(10)
    ranges.tick()
    ranges.endpoint.work(fate=lambda: "dies_first")
    ranges.tick()
    ranges.endpoint.work(fate=lambda: "dies_first")
    assert not ranges.endpoint.open_jobs
    asked = [job.input["payload"]["pages"] for job in ranges.endpoint.jobs.values()]
    assert asked[:2] == ["1-10", "1-3"]
    until_read(ranges, document, ticks=30)


def test_a_page_that_cannot_be_read_fails_and_its_neighbours_do_not(ranges):
    document = ranges.opened(3, text_layer="only")
    blank = ranges.submit(0, key=_blank_pdf(ranges), text_layer="only")
    for _ in range(6):
        ranges.tick()
        ranges.endpoint.work(10)
    ranges.require_read(document)
    assert ranges.document(blank).status == "failed"
    assert ranges.document(blank).error_code == "no_text_layer"


def test_a_file_that_is_none_fails_its_document(bench):
    bench.store.put(BUCKET, "broken.pdf", io.BytesIO(b"%PDF-1.4 no more"))
    document = bench.submit(0, key="broken.pdf")
    missing = bench.submit(0, key="nowhere.pdf")
    for _ in range(6):
        bench.tick()
        bench.endpoint.work(10)
    assert (bench.document(document).status, bench.document(document).error_code) == ("failed", "corrupt")
    assert (bench.document(missing).status, bench.document(missing).error_code) == ("failed", "object_not_found")


def test_an_endpoint_whose_storage_is_another_one_fails_no_document(ranges):
    document = ranges.submit(5)
    said = {"status": "error", "error": "object_not_found: There is no object '5.pdf'."}
    ranges.endpoint.handler = lambda *_: dict(said)
    for _ in range(5):
        ranges.tick()
        ranges.endpoint.work(10)
    ranges.tick()
    assert len(ranges.endpoint.jobs) == 5
    assert ranges.document(document).status == "queued"
    assert ranges.document(document).plan_attempts == 0


def test_an_endpoint_that_fails_and_fails_is_left_alone_for_a_while(bench):
    bench.opened(80)
    bench.endpoint.handler = lambda *_: {"status": "error", "error": "engine_unavailable: no GPU"}
    for _ in range(5):
        bench.tick()
        bench.endpoint.work(10)
    made = len(bench.endpoint.jobs)
    report = bench.tick()
    assert "the last 5 jobs failed" in report.reason
    assert (report.sent, len(bench.endpoint.jobs)) == (0, made)
    bench.pass_time(301)
    assert bench.tick().sent > 0


def test_a_large_result_comes_through_storage_and_leaves_nothing_there(emptied_database, tmp_path):
    with opened_bench(
        emptied_database, tmp_path, quire_burst_remote_database=False, quire_max_inline_result_bytes=500
    ) as bench:
        document = bench.opened(10)
        bench.tick()
        bench.endpoint.work()
        (job,) = bench.endpoint.jobs.values()
        assert job.output["result"]["result_key"] == f"results/{job.id}.json"
        stored = tmp_path / "objects" / "quire" / "results" / f"{job.id}.json"
        assert stored.exists()
        assert bench.tick().pages == 10
        bench.require_read(document)
        assert not stored.exists()


@pytest.mark.parametrize("key", ["uploads/secret", "results/../uploads/secret", "results"])
def test_a_result_is_fetched_and_deleted_only_where_results_are(ranges, key):
    ranges.store.put("quire", "uploads/secret", io.BytesIO(b"{}"))
    ranges.opened(3)
    ranges.tick()
    result = {"status": "completed", "result_bucket": "quire", "result_key": key}
    ranges.endpoint.handler = lambda *_: {"status": "ok", "result": result}
    ranges.endpoint.work()
    assert ranges.tick().ended == {"failed": 1}
    assert ranges.store.head("quire", "uploads/secret").size == 2


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        {"status": "ok"},
        {"status": "ok", "result": {"status": "completed", "pages": [{"page_number": 1}]}},
        {"status": "ok", "result": {"status": "completed", "page_count": 10**9}},
    ],
)
def test_whatever_an_endpoint_answers_is_no_more_than_a_job_that_failed(ranges, output, caplog):
    document, unopened = ranges.opened(3), ranges.submit(4)
    ranges.tick()
    while (job := ranges.endpoint.begin()) is not None:
        job.status, job.output = "COMPLETED", output
    with caplog.at_level(logging.INFO):
        ranges.tick()
    assert ranges.document(document).pages_done == 0
    assert ranges.document(unopened).status in ("queued", "failed")


def test_text_that_cannot_be_stored_is_a_failed_job_and_no_stuck_controller(ranges):
    document = ranges.opened(2)
    ranges.tick()
    (job,) = ranges.endpoint.open_jobs
    ranges.endpoint.work()
    job.output["result"]["pages"][0]["text"] = "a\x00b"
    assert ranges.tick().ended == {"failed": 1}
    until_read(ranges, document, ticks=20)


def test_money_bounds_the_jobs(emptied_database, tmp_path):
    with opened_bench(
        emptied_database,
        tmp_path,
        quire_burst_max_per_hour=4.5,
        quire_burst_max_per_day=0.08,
        quire_burst_document_jobs=50,
    ) as bench:
        bench.opened(60)
        # Three workers an hour; on a day, two jobs of 60 s with a start of 30 s: 0.0375 each.
        assert bench.tick().sent == 2
        assert bench.tick().spent_today == pytest.approx(0.075)
        bench.endpoint.handler = lambda *_: {"status": "error", "error": "internal: x"}
        bench.endpoint.work(2)
        report = bench.tick()
        # They took 10 s each, so there is room for one more: 0.0083 + 0.0375.
        assert report.sent == 1
        assert report.spent_today <= 0.08


def test_what_waits_and_how_fast_it_is_read_here_is_seen(ranges):
    ranges.endpoint.now = time.time()
    with transaction(ranges.database) as session:
        assert backlog.observe(session) == Work(0, 0, 0, 0, 0)
    here, there = ranges.opened(20), ranges.opened(10)
    ranges.submit(5)
    ranges.flow().work(here)
    with transaction(ranges.database) as session:
        # As if it had taken ten seconds.
        session.execute(text("UPDATE pages SET finished_at = finished_at - interval '10 s' WHERE status = 'done'"))
        session.execute(text("UPDATE documents SET touched_at = touched_at - interval '7 s'"))
    with transaction(ranges.database) as session:
        work = backlog.observe(session)
    assert (work.waiting_pages, work.leased_pages, work.page_seconds) == (11, 0, 0)
    assert work.oldest_seconds == pytest.approx(7, abs=3)
    assert work.local_pages_per_second == pytest.approx(2, rel=0.3)
    ranges.tick()
    with transaction(ranges.database) as session:
        assert backlog.observe(session).leased_pages == 10
    ranges.endpoint.work(5)
    ranges.tick()
    ranges.require_read(there)
    with transaction(ranges.database) as session:
        work = backlog.observe(session)
    assert work.waiting_pages == 0
    assert work.page_seconds == pytest.approx(20 / 20)
    assert work.local_pages_per_second == pytest.approx(2, rel=0.3), "what was read elsewhere does not count"


def test_one_tick_runs_at_a_time(bench):
    bench.opened(6)
    with statements(bench.database) as session:
        session.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            assert bench.tick().reason == "another controller is at work"
        finally:
            session.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
    assert bench.tick().sent == 1


def test_with_the_endpoint_away_documents_go_to_local_workers(bench):
    documents = [bench.opened(6), bench.submit(6, waits=True)]
    bench.endpoint.fault = lambda _: "500"
    assert "RunPod did not answer" in str(bench.tick().trouble)
    for _ in range(8):
        assert not bench.tick().sent
        bench.work_here(2)
        bench.pass_time(15)
    for document in documents:
        bench.require_read(document)
    assert bench.tick().open_jobs == 0


def test_old_rows_are_dropped(tickets):
    document = tickets.opened(3)
    until_read(tickets, document)
    assert tickets.rows("completed")
    tickets.endpoint.now += 3 * 86_400
    tickets.tick()
    assert not tickets.rows()


@pytest.mark.parametrize(("what", "said"), [("status", (200, "<html>")), ("cancel", (400, {}))])
def test_jobs_that_the_platform_says_nothing_of_use_about_keep_no_other_waiting(ranges, monkeypatch, what, said):
    """Three are asked about in vain, for ever; the one behind them is written, and they end when their time is over."""
    odd = [ranges.opened(2) for _ in range(3)]
    ranges.tick()
    first = set(ranges.endpoint.jobs)
    fine = ranges.opened(3)
    ranges.tick()
    answer = ranges.endpoint.answer

    def poisoned(method, path, body):
        parts = path.split("/")
        return said if parts[-2] == what and parts[-1] in first else answer(method, path, body)

    monkeypatch.setattr(ranges.endpoint, "answer", poisoned)
    for document in odd if what == "cancel" else ():
        ranges.cancel(document)
    for job in [job for job in ranges.endpoint.open_jobs if job.id not in first]:
        job.status = "IN_PROGRESS"
        ranges.endpoint.finish(job)
    ranges.tick()
    ranges.require_read(fine)
    ranges.pass_time(151)
    ranges.tick()
    ended = {row.state for row in ranges.rows() if row.remote_id in first}
    assert ended
    assert ended <= ({"expired"} if what == "status" else {"cancelled", "expired"})


def test_no_counts_are_not_counts_of_nothing(ranges, monkeypatch):
    ranges.opened(6)
    faults(ranges.endpoint, "lost done")
    ranges.tick()
    ranges.pass_time(61)
    answer = ranges.endpoint.answer
    monkeypatch.setattr(
        ranges.endpoint,
        "answer",
        lambda method, path, body: (200, "<html>") if path.endswith("health") else answer(method, path, body),
    )
    assert ranges.tick().ended == {}
    assert ranges.rows("unknown")


def _blank_pdf(bench: ServerlessBench) -> str:
    path = write_scanned_pdf(bench.folder / "blank.pdf", 2)
    bench.store.put(BUCKET, "blank.pdf", io.BytesIO(path.read_bytes()))
    return "blank.pdf"
