"""Whatever the OpenAPI document allows is answered as it says: requests made from it, by schemathesis."""

from __future__ import annotations

import os
from itertools import product
from typing import Any
from uuid import UUID

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from quire.cli.samples import sample_pdf
from quire.contracts import FlashcardsRequest
from quire.database import artifacts
from quire.database.engine import transaction
from quire.study_aids import Citation, Dropped, Flashcard, Flashcards
from quire_api.document_view import DocumentView, PageView
from quire_api.problems import Problem
from quire_api.routers.documents import Import
from tests.api.conftest import Replicas
from tests.integration.page_flow_bench import Bench

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "10"))
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture(scope="module")
def api_schema(replicas: Replicas) -> Any:
    """The document as it is served."""
    return schemathesis.openapi.from_url(f"{replicas.urls[0]}/openapi.json")


def test_requests_are_answered_as_documented(api_schema: Any):
    """Of each operation, requests that fit the document, and some that do not."""
    failures = []
    operations = [result.ok() for result in api_schema.get_all_operations()]
    assert len(operations) > 20
    for operation, mode in product(operations, schemathesis.GenerationMode):

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, timeout=30)

        try:
            ask()
        except Unsatisfiable:
            # Nothing can be wrong with what takes no parameters.
            continue
        except (Exception, BaseExceptionGroup) as failure:
            failures.append(f"{operation.method} {operation.path}: {_told(failure)}")
    assert not failures, "\n\n".join(failures)


def _told(failure: BaseException) -> str:
    if isinstance(failure, BaseExceptionGroup):
        return "\n".join(_told(each) for each in failure.exceptions)
    return f"{type(failure).__name__}: {failure}"


def test_answers_about_a_document_are_as_documented(api_schema: Any, client: httpx.Client, replicas_bench: Bench):
    """What random ids do not reach."""
    document = client.post("/api/v1/documents", files={"file": ("a.pdf", sample_pdf())}).json()["id"]
    replicas_bench.flow.work(UUID(document))
    artifact = str(_study_aid(replicas_bench, UUID(document)))
    seen = 0
    for result in api_schema.get_all_operations():
        operation = result.ok()
        if operation.method != "get" or "{document_id}" not in operation.path or "events" in operation.path:
            continue
        if "{block}" in operation.path:
            # This document was read as lines.
            continue
        format_ = "json" if "artifact_id" in operation.path else "txt"
        parameters = {"document_id": document, "number": 1, "format": format_, "artifact_id": artifact}
        path = {name: value for name, value in parameters.items() if f"{{{name}}}" in operation.path}
        query = {"q": "a"} if operation.path.endswith("search") else {}
        case = operation.Case(path_parameters=path, query=query)
        answer = case.call()
        assert answer.status_code == 200, (operation.path, answer.text)
        case.validate_response(answer, checks=CHECKS)
        seen += 1
    assert seen >= 6


def _study_aid(bench: Bench, document_id: UUID) -> UUID:
    """One that is made, without a model."""
    citation = Citation(page_number=1, quote="a", boxes=(((0, 0), (1, 0), (1, 1), (0, 1)),))
    card = Flashcard(front="a", back="b", difficulty="easy", citations=(citation,))
    made = Flashcards(cards=(card,), dropped=Dropped()).model_dump(mode="json")
    with transaction(bench.database) as session:
        artifact_id = artifacts.request(session, document_id, FlashcardsRequest())
        assert artifact_id is not None
        taken = artifacts.claim(session, artifact_id, seconds=60, attempts=3)
        assert taken is not None
        artifacts.finish(session, taken, made, model="m", prompt_version="1", timings={})
    return artifact_id


def test_everything_is_described(client: httpx.Client):
    document = client.get("/openapi.json").json()
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    undescribed = [
        f"{method} {path}: {name}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for name, described in [
            ("summary", operation.get("summary")),
            ("description", operation.get("description")),
            ("tags", tags.issuperset(operation["tags"])),
            *((each["name"], each.get("description")) for each in operation.get("parameters", ())),
        ]
        if not described
    ]
    assert undescribed == []


@pytest.mark.parametrize("model", [DocumentView, PageView, Import, Problem])
def test_examples_are_what_is_answered(client: httpx.Client, model: type[BaseModel]):
    described = client.get("/openapi.json").json()["components"]["schemas"][model.__name__]
    for example in described["examples"]:
        model.model_validate(example)
        assert example.keys() <= described["properties"].keys()
        assert example.keys() >= set(described.get("required", ()))
