"""Typed errors: their codes, and that they survive the way through Celery's JSON."""

from __future__ import annotations

import inspect
import json
import re

import pytest
from celery import Celery
from celery.backends.base import Backend

from quire import errors
from quire.errors import QuireError

# Groups that are caught, not raised.
GROUPS = {errors.QuireError, errors.DocumentError, errors.StorageError, errors.TooMuch}
ALL = [thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, QuireError)]
RAISED = [error for error in ALL if error not in GROUPS]


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Backend(app=Celery("test", set_as_current=False), serializer="json")


def test_every_code_names_one_error():
    codes = [error.code for error in RAISED]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_a_code_is_lower_case_with_underscores(error):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_an_error_has_a_code_of_its_own(error):
    assert "code" in vars(error)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_an_error_survives_the_json_of_the_result_backend(backend, error):
    message = "Page 3 × 4 “cannot” be read.\nDo this."
    stored = json.loads(json.dumps(backend.prepare_exception(error(message), serializer="json")))
    rebuilt = backend.exception_to_python(stored)
    assert type(rebuilt) is error
    assert rebuilt.message == message


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_the_sentence_is_what_people_see(error):
    assert str(error("Do this.")) == error("Do this.").message == "Do this."


@pytest.mark.parametrize(
    "code",
    [
        "encrypted",
        "corrupt",
        "unsupported_media_type",
        "too_large",
        "too_many_pages",
        "empty",
        "timeout",
        "out_of_memory",
        "worker_lost",
    ],
)
def test_the_codes_of_the_design_exist(code):
    assert code in {error.code for error in RAISED}


def test_only_servers_that_may_come_back_are_worth_another_try():
    assert {error.code for error in ALL if error.retryable} == {
        "storage_unreachable",
        "database_unreachable",
        "broker_unreachable",
        "runpod_unreachable",
        "runpod_no_capacity",
        # The hub that models are fetched from.
        "models_unreachable",
        # Not a server: the worker that was told to stop. The next one reads it.
        "worker_stopped",
    }


@pytest.mark.parametrize("error", [e for e in ALL if issubclass(e, errors.DocumentError)], ids=lambda e: e.__name__)
def test_a_document_gives_the_same_answer_again(error):
    assert not error.retryable
