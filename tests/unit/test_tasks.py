"""Task declarations: how a call becomes a payload, a message and a result."""

from __future__ import annotations

import socket
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from quire import tasks
from quire.contracts import OcrPagePayload, OcrPayload, OcrResult, PageError
from quire.errors import BrokerUnreachable, InvalidPayload
from quire.queues import create_celery
from quire.settings import Settings

DOCUMENT = UUID("018f0000-0000-7000-8000-000000000001")
SECRET = "hunter2-4111-1111"


@pytest.fixture
def app() -> Celery:
    """An app that publishes into this process's memory."""
    app = create_celery(Settings(celery_broker_url="memory://", celery_ocr_queue="gpu"))
    app.conf.update(broker_transport_options={}, result_backend=None)
    return app


def receive(app: Celery, queue: str) -> Any:
    with app.connection_for_read() as connection:
        waiting = connection.SimpleQueue(queue)
        message = waiting.get(timeout=2)
        message.ack()
        waiting.close()
        return message


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_every_task_has_a_name_of_its_own():
    names = [task.name for task in tasks.ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("task", tasks.ALL, ids=lambda task: task.name)
def test_every_task_is_called_what_its_variable_is_called(task):
    assert getattr(tasks, task.name.removeprefix("tasks.")) is task


@pytest.mark.parametrize("task", tasks.ALL, ids=lambda task: task.name)
def test_the_soft_limit_leaves_time_before_the_hard_one(task):
    assert task.soft_time_limit + 30 <= task.time_limit


@pytest.mark.parametrize("task", tasks.ALL, ids=lambda task: task.name)
def test_positional_arguments_are_fields_of_the_payload(task):
    assert set(task.positional) <= set(task.payload.model_fields)


def test_arguments_by_position_are_the_declared_fields():
    assert tasks.ocr_page.parse(("a.pdf", 3)) == OcrPagePayload(key="a.pdf", page_number=3)


def test_arguments_by_name_and_by_position_are_the_same_call():
    assert tasks.ocr_page.parse(("a.pdf",), {"page_number": 3}) == tasks.ocr_page.parse(
        (), {"page_number": 3, "key": "a.pdf"}
    )


def test_a_payload_of_echo_may_be_any_json():
    assert tasks.echo.parse(({"hello": ["world", None]},)).payload == {"hello": ["world", None]}


def test_too_many_positional_arguments_are_refused_with_those_there_are():
    with pytest.raises(InvalidPayload, match="by position: key"):
        tasks.ocr_document.parse(("a.pdf", "bucket"))


def test_a_task_without_a_payload_takes_nothing_by_position():
    with pytest.raises(InvalidPayload, match="by position: nothing"):
        tasks.reconcile.parse((1,))


def test_an_argument_given_twice_is_refused_by_name():
    with pytest.raises(InvalidPayload, match="key twice"):
        tasks.ocr_document.parse(("a.pdf",), {"key": "b.pdf"})


def test_an_unknown_field_is_named_with_the_known_ones():
    with pytest.raises(InvalidPayload, match=r"tasks\.ocr_document: unknown field 'langs' \(known: .*lang_hints"):
        tasks.ocr_document.parse((), {"key": "a.pdf", "langs": ["fr"]})


def test_every_unknown_field_is_named():
    with pytest.raises(InvalidPayload, match=r"(?s)'colour'.*'shape'"):
        tasks.ocr_document.parse((), {"key": "a.pdf", "colour": 1, "shape": 2})


def test_an_unknown_field_of_a_task_without_fields_is_named():
    with pytest.raises(InvalidPayload, match=r"unknown field 'now' \(known: none\)"):
        tasks.reconcile.parse((), {"now": True})


def test_a_missing_key_is_named():
    with pytest.raises(InvalidPayload, match="key is required"):
        tasks.ocr_document.parse()


def test_a_missing_page_number_is_named():
    with pytest.raises(InvalidPayload, match="page_number"):
        tasks.ocr_page.parse(("a.pdf",))


@pytest.mark.parametrize("field", sorted(OcrPayload.model_fields.keys() - {"key", "bucket"}))
def test_a_value_that_cannot_be_used_is_not_echoed(field):
    with pytest.raises(InvalidPayload) as refused:
        tasks.ocr_document.parse((), {"key": "a.pdf", field: SECRET})
    assert field in refused.value.message
    assert SECRET not in refused.value.message


@pytest.mark.parametrize("field", ["key", "bucket"])
def test_a_value_that_is_too_long_is_not_echoed(field):
    with pytest.raises(InvalidPayload) as refused:
        tasks.ocr_document.parse((), {"key": "a.pdf", field: SECRET * 200})
    assert SECRET not in refused.value.message


def test_the_value_of_an_unknown_field_is_not_echoed():
    with pytest.raises(InvalidPayload) as refused:
        tasks.ocr_document.parse((), {"key": "a.pdf", "token": SECRET})
    assert SECRET not in refused.value.message


@given(
    st.lists(st.none() | st.text(max_size=5) | st.integers(), max_size=3).map(tuple),
    st.dictionaries(
        st.sampled_from([*OcrPayload.model_fields, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
    ),
)
def test_any_arguments_are_a_payload_or_an_invalid_payload(args, kwargs):
    try:
        payload = tasks.ocr_document.parse(args, kwargs)
    except InvalidPayload:
        return
    assert tasks.ocr_document.parse((), payload.model_dump(mode="json", exclude_unset=True)) == payload


def test_a_result_survives_the_backend():
    result = OcrResult(
        status="partial",
        document_id=DOCUMENT,
        page_count=2,
        pages_done=1,
        pages_failed=1,
        errors=(PageError(page_number=2, code="corrupt", message="Damaged."),),
    )
    assert tasks.ocr_document.load_result(tasks.ocr_document.dump_result(result)) == result


def test_a_dumped_result_leaves_out_what_has_no_value():
    dumped = tasks.ocr_document.dump_result(OcrResult(status="queued"))
    assert dumped == {"status": "queued", "pages_done": 0, "pages_failed": 0, "errors": []}


@pytest.mark.parametrize("value", [None, 1, "text", ["a", {"b": None}], {"hello": "world", "nothing": None}])
def test_echo_gives_back_what_it_got(value):
    assert tasks.echo.load_result(tasks.echo.dump_result(value)) == value


@pytest.mark.parametrize(
    ("task", "payload", "queue"),
    [
        (tasks.ocr_document, OcrPayload(key="a.pdf"), "gpu"),
        (tasks.ocr_page, OcrPagePayload(key="a.pdf", page_number=1), "gpu"),
        (tasks.ocr_pdf_document, OcrPayload(document_id=DOCUMENT), "gpu"),
        (tasks.reconcile, tasks.reconcile.parse(), "default"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_task_is_published_to_its_queue(app: Celery, task: Any, payload: BaseModel, queue: str):
    handle = task.send(payload, app=app)
    assert receive(app, queue).headers["id"] == handle.id


def test_a_message_carries_only_the_fields_that_were_given(app: Celery):
    tasks.ocr_document.send(OcrPayload(key="a.pdf", document_id=DOCUMENT), app=app)
    args, kwargs, _ = receive(app, "gpu").payload
    assert (args, kwargs) == ([], {"key": "a.pdf", "document_id": str(DOCUMENT)})


def test_the_arguments_of_a_message_are_not_copied_into_its_headers(app: Celery):
    tasks.ocr_document.send(OcrPayload(key=SECRET), app=app)
    assert SECRET not in str(receive(app, "gpu").headers)


def test_a_time_limit_of_one_call_goes_with_the_message(app: Celery):
    tasks.ocr_document.send(OcrPayload(key="a.pdf"), time_limit=600, app=app)
    assert receive(app, "gpu").headers["timelimit"] == [600, 570]


def test_a_broker_that_is_down_is_a_typed_error():
    app = create_celery(Settings(redis_url=f"redis://127.0.0.1:{unused_port()}/0"))
    with pytest.raises(BrokerUnreachable, match=r"tasks\.echo could not be queued"):
        tasks.echo.send(tasks.echo.parse((1,)), app=app, keep_result=False)
