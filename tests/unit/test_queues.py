"""Which queue a task goes to, and the settings the page flow relies on."""

from __future__ import annotations

import pytest

from quire import tasks
from quire.queues import OCR_TASKS, VISIBILITY_TIMEOUT_SECONDS, create_celery
from quire.settings import Settings, load_settings

OCR = ("tasks.ocr_document", "tasks.ocr_page", "tasks.ocr_pdf_document")
OTHERS = ("tasks.echo", "tasks.diagnostics", "tasks.reconcile", "tasks.of_another_product")
QUEUE_VARIABLES = ("CELERY_DEFAULT_QUEUE", "CELERY_QUEUE", "CELERY_OCR_QUEUE")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in QUEUE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def routed(task: str, settings: Settings) -> str:
    """The queue Celery itself chooses."""
    name: str = create_celery(settings).amqp.router.route({}, task)["queue"].name
    return name


@pytest.mark.parametrize(
    ("variables", "default", "ocr"),
    [
        ({}, "default", "ocr"),
        ({"CELERY_QUEUE": "a"}, "a", "ocr"),
        ({"CELERY_DEFAULT_QUEUE": "b"}, "b", "ocr"),
        ({"CELERY_QUEUE": "a", "CELERY_DEFAULT_QUEUE": "b"}, "b", "ocr"),
        ({"CELERY_OCR_QUEUE": "c"}, "default", "c"),
        ({"CELERY_QUEUE": "a", "CELERY_DEFAULT_QUEUE": "b", "CELERY_OCR_QUEUE": "c"}, "b", "c"),
        ({"CELERY_QUEUE": "a", "CELERY_DEFAULT_QUEUE": "", "CELERY_OCR_QUEUE": ""}, "a", "ocr"),
    ],
    ids=str,
)
def test_the_queues_are_named_by_the_environment(environment: pytest.MonkeyPatch, variables, default, ocr):
    for name, value in variables.items():
        environment.setenv(name, value)
    settings = load_settings()
    assert {routed(task, settings) for task in OTHERS} == {default}
    assert {routed(task, settings) for task in OCR} == {ocr}


def test_the_ocr_tasks_are_the_three_of_the_contract():
    assert set(OCR_TASKS) == set(OCR)


@pytest.mark.parametrize(
    ("settings", "consumed"),
    [
        (Settings(celery_ocr_queue="gpu"), "default"),
        (Settings(celery_ocr_queue="gpu", celery_default_queue="cheap"), "cheap"),
        (Settings(celery_ocr_queue="gpu", celery_default_queue="cheap", celery_queue="gpu"), "gpu"),
    ],
    ids=["neither", "CELERY_DEFAULT_QUEUE", "CELERY_QUEUE"],
)
def test_a_worker_that_names_no_queue_consumes_one(settings, consumed):
    assert set(create_celery(settings).amqp.queues) == {consumed}


def test_only_json_is_accepted():
    conf = create_celery(Settings()).conf
    assert (conf.accept_content, conf.result_accept_content) == (["json"], ["json"])


def test_only_json_is_written():
    conf = create_celery(Settings()).conf
    assert {conf.task_serializer, conf.result_serializer, conf.event_serializer} == {"json"}


@pytest.mark.parametrize("task", tasks.ALL, ids=lambda task: task.name)
def test_no_task_may_run_longer_than_its_message_stays_invisible(task):
    assert task.time_limit < VISIBILITY_TIMEOUT_SECONDS


def test_a_ticket_may_not_run_longer_than_its_message_stays_invisible():
    assert tasks.TICKET_TIME_LIMIT < VISIBILITY_TIMEOUT_SECONDS


def test_the_broker_is_told_the_visibility_timeout():
    options = create_celery(Settings()).conf.broker_transport_options
    assert options["visibility_timeout"] == VISIBILITY_TIMEOUT_SECONDS


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_acks_late", True),
        ("task_acks_on_failure", True),
        ("task_acks_on_timeout", True),
        ("task_reject_on_worker_lost", True),
        ("worker_prefetch_multiplier", 1),
        ("broker_connection_retry_on_startup", True),
        ("broker_channel_error_retry", True),
    ],
)
def test_a_message_survives_its_worker_and_its_broker(setting, value):
    assert create_celery(Settings()).conf[setting] == value


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        (Settings(paddleocr_use_gpu=True), "spawn"),
        (Settings(paddleocr_device="gpu:1"), "spawn"),
        (Settings(paddleocr_use_gpu=False), "fork"),
        (Settings(paddleocr_use_gpu=True, paddleocr_device="cpu"), "fork"),
    ],
)
def test_a_process_with_a_gpu_is_not_forked(settings, method):
    assert create_celery(settings).conf.worker_pool_start_method == method


def test_broker_and_backend_may_be_two_servers():
    app = create_celery(
        Settings(
            celery_broker_url="redis://one:6379/0",
            celery_result_backend="redis://two:6379/1",
        )
    )
    assert (app.conf.broker_url, app.conf.result_backend) == ("redis://one:6379/0", "redis://two:6379/1")


def test_unfinished_documents_are_looked_for_by_the_clock():
    schedule = create_celery(Settings(quire_reconcile_seconds=7)).conf.beat_schedule
    assert [(entry["task"], entry["schedule"]) for entry in schedule.values()] == [
        ("tasks.reconcile", 7.0),
        ("tasks.purge_expired", 3600.0),
    ]
