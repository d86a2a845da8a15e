"""Study aids on real Postgres: started once, paid for once, made by whoever comes when their maker is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select, text

from flow.study_aids import StudyAids
from quire import tasks
from quire.cli.samples import sample_photo
from quire.contracts import (
    FlashcardOptions,
    FlashcardsRequest,
    OcrOptions,
    OcrPayload,
    PageError,
    PageText,
    QuizRequest,
    StudyRequest,
    SummaryOptions,
    SummaryPayload,
    SummaryRequest,
)
from quire.database import artifacts, documents, leases, webhooks
from quire.database.artifacts import Due
from quire.database.engine import transaction
from quire.database.tables import Artifact, ArtifactWindow, Usage, WebhookDelivery, WebhookEndpoint
from quire.embedded import EmbeddedRedis
from quire.errors import DocumentNotFound
from quire.keys import create_key
from quire.queues import create_celery
from quire.settings import Settings
from quire.study_aids import STUDY_AID
from study import client as study_client
from study.grounding import Grounding
from tests.integration.conftest import start_worker, wait_for, worker_environment
from tests.integration.page_flow_bench import BUCKET, Bench
from tests.llm_server import KEY, Fault, LlmServer, llm_server
from tests.study_documents import book
from tests.study_worker import work_in_process
from tests.unit.test_study_making import check_citations

SMALL: dict[str, Any] = {"quire_llm_context_tokens": 6000, "quire_llm_output_tokens": 1000}


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_client, "_FIRST_PAUSE_SECONDS", 0.02)


def settings_of(server: LlmServer, **more: Any) -> Settings:
    return Settings(openai_api_key=SecretStr(KEY), openai_base_url=server.url, openai_model="m", **more)


def aids_of(server: LlmServer, database: Engine, **more: Any) -> StudyAids:
    return StudyAids(settings_of(server, **more), database, lambda: False)


def put(
    database: Engine,
    pages: Sequence[PageText | PageError],
    follow_ups: Sequence[StudyRequest] = (),
    owner: str = "",
    *,
    end: bool = True,
) -> UUID:
    """A document with these pages, read in the way of the page flow; without `end` all but the last."""
    document_id = uuid4()
    numbers = [page.page_number for page in pages]
    with transaction(database) as session:
        new = documents.NewDocument(document_id, BUCKET, "key", OcrOptions(), owner=owner, follow_ups=follow_ups)
        documents.create(session, new)
        documents.plan(session, document_id, documents.Plan(len(pages), numbers, "application/pdf", 1, "0"))
    while True:
        with transaction(database) as session:
            lease = leases.lease_pages(session, document_id, most=50, seconds=60, attempts=3)
            if lease is None:
                return document_id
            written = [page for page in pages if page.page_number in lease.numbers]
            if not end and numbers[-1] in lease.numbers:
                leases.write_pages(session, lease, written[:-1])
                leases.release(session, lease, numbers[-1:])
                return document_id
            leases.write_pages(session, lease, written)


def all_of(database: Engine, document_id: UUID) -> list[Artifact]:
    with transaction(database) as session:
        return list(session.scalars(select(Artifact).where(Artifact.document_id == document_id)))


def dispatched(database: Engine) -> list[Due]:
    with transaction(database) as session:
        return artifacts.dispatch(session)


def age(database: Engine, seconds: int) -> None:
    """Let so much time go by for study aids."""
    with transaction(database) as session:
        columns = ("lease_expires_at", "dispatched_at", "next_attempt_at")
        moved = ", ".join(f"{each} = {each} - make_interval(secs => {seconds})" for each in columns)
        session.execute(text(f"UPDATE artifacts SET {moved}"))


def rerun(database: Engine, artifact_id: UUID) -> bool:
    with transaction(database) as session:
        return artifacts.rerun(session, artifact_id)


def test_a_study_aid_is_made_once_and_made_again_on_demand(database: Engine, server: LlmServer):
    pages = book(3)
    document_id = put(database, pages)
    prices = {"quire_llm_input_price": 2.0, "quire_llm_output_price": 8.0}
    aids = aids_of(server, database, **prices)
    first = aids.work(SummaryPayload(document_id=document_id))
    assert first.status == "completed"
    assert aids.work(SummaryPayload(document_id=document_id, style="bullets")) == first
    assert len(server.asked) == 1
    (made,) = all_of(database, document_id)
    assert made.result is not None
    assert check_citations(STUDY_AID.validate_python(made.result), pages) == 10
    assert (made.model, made.prompt_version, made.windows_done, made.windows_total) == ("m", "1", 1, 1)
    assert (made.requests, made.input_tokens, made.output_tokens) == (1, 100, 10)
    assert made.cost == pytest.approx((100 * 2 + 10 * 8) / 1e6)
    # Other options are another one.
    assert aids.work(SummaryPayload(document_id=document_id, style="short")).artifact_id != first.artifact_id
    assert rerun(database, first.artifact_id)
    assert not rerun(database, first.artifact_id)
    assert aids.work(SummaryPayload(document_id=document_id)) == first
    assert len(server.asked) == 3


def test_what_is_asked_for_with_a_document_starts_once_when_it_ends(database: Engine, server: LlmServer):
    wanted: tuple[StudyRequest, ...] = (SummaryRequest(), FlashcardsRequest(options=FlashcardOptions(count=3)))
    document_id = put(database, book(4), wanted, end=False)
    assert {each.status for each in all_of(database, document_id)} == {"waiting"}
    assert dispatched(database) == []
    with transaction(database) as session:
        lease = leases.lease_pages(session, document_id, most=50, seconds=60, attempts=3)
        assert lease is not None
        progress = leases.write_pages(session, lease, book(4)[-1:])
        assert progress is not None
        assert progress.finished
    started = dispatched(database)
    assert {each.kind for each in started} == {"summary", "flashcards"}
    assert dispatched(database) == [], "they are on their way"
    with ThreadPoolExecutor(4) as threads:
        payload = SummaryPayload(document_id=document_id)
        list(threads.map(lambda _: aids_of(server, database).work(payload), range(4)))
    assert len(server.asked) == 1
    age(database, 301)
    assert {each.kind for each in dispatched(database)} == {"flashcards"}, "a lost task is made up for"


def test_what_is_asked_for_while_the_document_ends_is_started(database: Engine):
    document_id = put(database, book(2), end=False)
    asking = threading.Event()

    def ask() -> None:
        asking.set()
        with transaction(database) as session:
            artifacts.request(session, document_id, QuizRequest())

    thread = threading.Thread(target=ask)
    with transaction(database) as session:
        lease = leases.lease_pages(session, document_id, most=50, seconds=60, attempts=3)
        assert lease is not None
        leases.write_pages(session, lease, book(2)[-1:])
        # Asked for after the end has looked for what waits, and before anybody sees the end.
        thread.start()
        asking.wait(5)
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(10)
    (artifact,) = all_of(database, document_id)
    assert artifact.status == "queued"


def test_a_document_that_was_not_read_has_no_study_aids_until_it_is(database: Engine):
    broken = PageError(page_number=1, code="corrupt", message="The page is damaged.")
    document_id = put(database, [broken], (SummaryRequest(),))
    (artifact,) = all_of(database, document_id)
    assert (artifact.status, artifact.error_code) == ("failed", "no_text")
    with transaction(database) as session:
        assert artifacts.request(session, document_id, QuizRequest()) is not None
        documents.retry_failed(session, document_id)
        lease = leases.lease_pages(session, document_id, most=1, seconds=60, attempts=3)
        assert lease is not None
        leases.write_pages(session, lease, book(1))
    assert {(each.status, each.error_code) for each in all_of(database, document_id)} == {("queued", None)}


def test_a_cancelled_document_takes_its_study_aids_along(database: Engine):
    document_id = put(database, book(2), (SummaryRequest(),), end=False)
    with transaction(database) as session:
        documents.cancel(session, document_id)
    assert [each.status for each in all_of(database, document_id)] == ["failed"]


def test_a_task_with_follow_ups_makes_them_with_its_document(bench: Bench):
    payload = OcrPayload(key=bench.put("a.jpg", sample_photo()), bucket=BUCKET, follow_ups=(QuizRequest(),))
    for _ in range(2):
        document_id = bench.flow.accept(payload, "task-1")
    bench.flow.work(document_id)
    assert [(each.kind, each.status) for each in all_of(bench.database, document_id)] == [("quiz", "queued")]


def test_a_worker_killed_at_each_step_pays_for_each_window_once(database: Engine, database_url: str, server: LlmServer):
    pages = book(60)
    options = SMALL | {"quire_llm_concurrency": 1}
    whole = put(database, pages)
    aids_of(server, database, **options).work(SummaryPayload(document_id=whole))
    expected, steps = all_of(database, whole)[0], len(server.asked)
    assert steps == (expected.windows_total or 0) + 1 > 3
    server.asked.clear()

    document_id = put(database, pages)
    url = str(Settings(database_url=SecretStr(database_url)).sqlalchemy_url)
    settings = {"openai_api_key": KEY, "openai_base_url": server.url, "openai_model": "m", **options}
    answered: list[str] = []
    for step in range(1, steps + 1):
        worker = multiprocessing.get_context("spawn").Process(target=work_in_process, args=(url, settings, document_id))

        def kill(_: int, worker: Any = worker, step: int = step) -> None:
            # All requests before this one have been answered, and their answers written.
            if len(answered) == step - 1:
                os.kill(worker.pid, signal.SIGKILL)
                # Not `join`: the main thread does that, and only one of two gets to know how it ended.
                wait([worker.sentinel], 10)
            else:
                answered.append(server.asked[-1].user)

        server.before = kill
        worker.start()
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL
        with transaction(database) as session:
            # Each answer, and what was made of it.
            assert len(session.scalars(select(ArtifactWindow)).all()) == 2 * (step - 1)
        assert dispatched(database) == [], "it may be alive"
        age(database, 60)
        assert len(dispatched(database)) == 1
    server.before = lambda _: answered.append(server.asked[-1].user)
    assert aids_of(server, database, **options).work(SummaryPayload(document_id=document_id)).status == "completed"
    assert set(Counter(answered).values()) == {1}
    assert len(answered) == steps
    (made,) = all_of(database, document_id)
    assert made.result == expected.result
    assert made.requests == steps
    with transaction(database) as session:
        assert session.scalars(select(ArtifactWindow)).all() == []


def test_one_that_ends_its_worker_each_time_is_given_up(database: Engine, server: LlmServer):
    document_id = put(database, book(1))
    aids = aids_of(server, database)
    with transaction(database) as session:
        artifact_id = artifacts.request(session, document_id, SummaryRequest())
        assert artifact_id is not None
    for _ in range(3):
        with transaction(database) as session:
            assert artifacts.claim(session, artifact_id, seconds=45, attempts=3) is not None
        age(database, 60)
    assert aids.work(SummaryPayload(document_id=document_id)).status == "failed"
    assert all_of(database, document_id)[0].error_code == "worker_lost"
    assert server.asked == []


def test_whoever_lost_the_lease_writes_nothing(database: Engine, server: LlmServer):
    document_id = put(database, book(1))

    def take_over(number: int) -> None:
        if number == 1:
            age(database, 60)
            with transaction(database) as session:
                (artifact,) = session.scalars(select(Artifact)).all()
                assert artifacts.claim(session, artifact.id, seconds=45, attempts=3) is not None

    server.before = take_over
    assert aids_of(server, database).work(SummaryPayload(document_id=document_id)).status == "running"
    (artifact,) = all_of(database, document_id)
    assert artifact.result is None
    # What it has cost is counted all the same.
    assert artifact.requests == 1


def test_one_whose_turn_is_over_goes_on_later(database: Engine, server: LlmServer):
    document_id = put(database, book(30))
    options = SMALL | {"quire_ticket_seconds": 0, "quire_llm_concurrency": 1}
    aids = aids_of(server, database, **options)
    turns = 1
    while aids.work(SummaryPayload(document_id=document_id)).status == "queued":
        assert len(server.asked) == turns, "a turn that is over at once pays for one answer all the same"
        assert len(dispatched(database)) == 1
        turns += 1
    assert turns == len(server.asked) == (all_of(database, document_id)[0].windows_total or 0) + 1


def test_a_draining_worker_gives_it_back(database: Engine, server: LlmServer):
    document_id = put(database, book(1))
    draining = StudyAids(settings_of(server), database, lambda: True)
    assert draining.work(SummaryPayload(document_id=document_id)).status == "queued"
    assert (server.asked, all_of(database, document_id)[0].attempts) == ([], 0)


def test_requests_side_by_side_are_as_many_as_the_setting_says(database: Engine, server: LlmServer):
    document_id = put(database, book(40))

    def wait_for_others(_: int) -> None:
        deadline = time.monotonic() + 2
        while server.most_at_once < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)

    server.before = wait_for_others
    aids_of(server, database, **SMALL, quire_llm_concurrency=3).work(SummaryPayload(document_id=document_id))
    assert server.most_at_once == 3


def test_without_a_key_it_is_unavailable_until_there_is_one(database: Engine, server: LlmServer):
    document_id = put(database, book(1))
    without = StudyAids(Settings(openai_api_key=None), database, lambda: False)
    result = without.work(SummaryPayload(document_id=document_id))
    assert result.status == "unavailable"
    (artifact,) = all_of(database, document_id)
    assert artifact.error_code == "llm_unavailable"
    assert "OPENAI_API_KEY" in str(artifact.error_message)
    assert rerun(database, result.artifact_id)
    assert aids_of(server, database).work(SummaryPayload(document_id=document_id)).status == "completed"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(401, error={"message": KEY}), "llm_key_rejected"),
        (Fault(content=None, refusal="no"), "llm_refused"),
        (Fault(400, error={"message": "x", "code": "context_length_exceeded"}), "llm_context_overflow"),
        (Fault(content="never JSON"), "llm_failed"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_errors_are_shown_and_what_is_paid_for_is_kept(database: Engine, server: LlmServer, fault: Fault, code: str):
    document_id = put(database, book(20))
    options = SMALL | {"quire_llm_concurrency": 1, "quire_llm_attempts": 2}
    aids = aids_of(server, database, **options)
    good = server.answer
    server.answer = lambda asked: fault if asked.shape == "Points" and 20 in asked.pages else good(asked)
    result = aids.work(SummaryPayload(document_id=document_id))
    (artifact,) = all_of(database, document_id)
    assert (result.status, artifact.error_code) == ("failed", code)
    assert KEY not in str(artifact.error_message)
    windows, requests = artifact.windows_done, artifact.requests
    assert windows >= 1
    server.answer = good
    server.asked.clear()
    rerun(database, result.artifact_id)
    assert aids.work(SummaryPayload(document_id=document_id)).status == "completed"
    assert len(server.asked) == 1 + 1, "the window that failed, and the whole"
    assert all_of(database, document_id)[0].requests == requests + 2


def test_an_endpoint_that_is_away_is_asked_again_later_and_given_up_in_the_end(database: Engine, server: LlmServer):
    document_id = put(database, book(1))
    aids = aids_of(server, database, quire_llm_attempts=1)
    server.faults = [Fault(429, headers={"Retry-After": "500"}, error={"message": "busy"})]
    assert aids.work(SummaryPayload(document_id=document_id)).status == "queued"
    assert dispatched(database) == []
    age(database, 400)
    assert dispatched(database) == [], "the endpoint has asked for a longer pause"
    age(database, 101)
    assert len(dispatched(database)) == 1
    server.faults = [Fault(503, error={"message": "away"})] * 2
    assert aids.work(SummaryPayload(document_id=document_id)).status == "queued"
    assert aids.work(SummaryPayload(document_id=document_id)).status == "failed"
    assert all_of(database, document_id)[0].error_code == "llm_unreachable"


def test_budgets_are_kept(database: Engine, server: LlmServer):
    pages = book(30)
    document_id = put(database, pages, owner="acme")
    options = SMALL | {"quire_llm_concurrency": 1}
    limited = aids_of(server, database, **options, quire_llm_document_tokens=220)
    assert limited.work(SummaryPayload(document_id=document_id)).status == "failed"
    (artifact,) = all_of(database, document_id)
    assert (artifact.error_code, artifact.requests) == ("llm_budget_exceeded", 2)
    with transaction(database) as session:
        assert session.scalars(select(Usage.tokens)).all() == [220]
    other = put(database, pages, owner="acme")
    poor = aids_of(server, database, **options, quire_llm_owner_tokens=200)
    assert poor.work(SummaryPayload(document_id=other)).status == "failed"
    assert len(server.asked) == 2
    stranger = put(database, pages[:1], owner="other")
    assert poor.work(SummaryPayload(document_id=stranger)).status == "completed"


def test_endpoints_that_ask_for_it_hear_of_each_end(database: Engine, server: LlmServer):
    every: tuple[webhooks.Event, ...] = webhooks.EVENTS
    with transaction(database) as session:
        for name, events in (("all", every), ("documents", webhooks.USUAL_EVENTS)):
            webhooks.add_endpoint(session, "acme", f"https://{name}.example", "whsec_x", events)
        webhooks.add_endpoint(session, "other", "https://other.example", "whsec_x", every)
    document_id = put(database, book(1), owner="acme")
    without = StudyAids(Settings(openai_api_key=None), database, lambda: False)
    made = without.work(SummaryPayload(document_id=document_id))
    assert rerun(database, made.artifact_id)
    aids_of(server, database).work(SummaryPayload(document_id=document_id))
    with transaction(database) as session:
        sent = session.execute(
            select(WebhookDelivery.body, WebhookEndpoint.url)
            .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
            .where(WebhookDelivery.event.startswith("artifact."))
            .order_by(WebhookDelivery.created_at)
        ).all()
    assert [(body["type"], url) for body, url in sent] == [
        ("artifact.failed", "https://all.example"),
        ("artifact.ready", "https://all.example"),
    ]
    failed, ready = (body["data"] for body, _ in sent)
    assert failed["error"]["code"] == "llm_unavailable"
    about = {"document_id": str(document_id), "artifact_id": str(made.artifact_id), "kind": "summary"}
    assert ready == about | {"status": "completed"}


def test_the_tokens_that_keys_allow_are_kept(database: Engine, server: LlmServer):
    pages = book(30)
    options = SMALL | {"quire_llm_concurrency": 1}
    with transaction(database) as session:
        for name, tokens in (("small", 110), ("large", 220)):
            create_key(session, name=name, owner="acme", tokens_per_day=tokens)
        create_key(session, name="operator", owner="acme", scopes=["admin"])
        create_key(session, name="large", owner="other", tokens_per_day=110)
        create_key(session, name="free", owner="other")
    aids = aids_of(server, database, **options)
    document_id = put(database, pages, owner="acme")
    assert aids.work(SummaryPayload(document_id=document_id)).status == "failed"
    (artifact,) = all_of(database, document_id)
    assert (artifact.error_code, artifact.requests) == ("llm_budget_exceeded", 2)
    assert "--tokens-per-day" in str(artifact.error_message)
    unbound = put(database, pages, owner="other")
    assert aids.work(SummaryPayload(document_id=unbound)).status == "completed"


def test_a_document_deleted_meanwhile_takes_its_study_aid_along(database: Engine, server: LlmServer):
    document_id = put(database, book(1))

    def delete(_: int) -> None:
        with transaction(database) as session:
            session.execute(text("DELETE FROM documents"))

    server.before = delete
    with pytest.raises(DocumentNotFound, match="deleted"):
        aids_of(server, database).work(SummaryPayload(document_id=document_id))


def test_no_more_tasks_are_on_their_way_than_the_queue_should_hold(database: Engine):
    document_id = put(database, book(1))
    with transaction(database) as session:
        for count in range(1, 41):
            artifacts.request(session, document_id, FlashcardsRequest(options=FlashcardOptions(count=count)))
    assert len(dispatched(database)) == 32
    assert dispatched(database) == []
    with transaction(database) as session:
        (first,) = session.scalars(select(Artifact).where(Artifact.dispatched_at.isnot(None)).limit(1)).all()
        assert artifacts.claim(session, first.id, seconds=45, attempts=3) is not None
    assert len(dispatched(database)) == 1


def test_a_worker_makes_what_was_asked_for_as_many_side_by_side_as_it_has_processes(
    database: Engine,
    database_url: str,
    redis_server: EmbeddedRedis,
    server: LlmServer,
    model_dir: Path,
    tmp_path: Path,
):
    wanted = (SummaryRequest(options=SummaryOptions(style="short")), FlashcardsRequest(), QuizRequest())
    document_id = put(database, book(2), wanted)

    def wait_for_another(_: int) -> None:
        deadline = time.monotonic() + 5
        while server.most_at_once < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)

    server.before = wait_for_another
    env = worker_environment(
        redis_server,
        tmp_path,
        model_dir,
        DATABASE_URL=database_url,
        CELERY_QUEUE="study",
        OPENAI_API_KEY=KEY,
        OPENAI_BASE_URL=server.url,
    )
    app = create_celery(Settings(redis_url=SecretStr(redis_server.url), celery_queue="study"))
    with start_worker(env, tmp_path / "worker.log", "-Q", "study", "-c", "2") as worker:
        # It finds what is queued in Postgres without a task.
        tasks.reconcile.send(tasks.reconcile.parse(), keep_result=False, app=app)
        wait_for(lambda: {each.status for each in all_of(database, document_id)} == {"completed"}, worker)
        log = worker.log.read_text()
    # As many side by side as the worker has processes, each with one window.
    assert server.most_at_once == 2
    for task in ("summarize_document", "generate_flashcards", "generate_quiz"):
        assert f"tasks.{task}" in log
    for secret in (KEY, "grams", "Entry"):
        assert secret not in log


def test_an_unexpected_error_ends_it_and_its_words_are_not_logged(
    database: Engine, server: LlmServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    words = book(1)[0].detections[0].text

    def fail(*_: Any) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(Grounding, "cite_all", fail)
    document_id = put(database, book(1))
    assert aids_of(server, database).work(SummaryPayload(document_id=document_id)).status == "failed"
    assert all_of(database, document_id)[0].error_code == "internal"
    assert "RuntimeError" in caplog.text
    assert words not in caplog.text
