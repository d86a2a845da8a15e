"""Study aids of a document: asked for, looked at, exported, made again."""

from __future__ import annotations

import contextlib
from datetime import datetime
from http import HTTPStatus
from pathlib import PurePath
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from quire import jobs, study_exports
from quire.contracts import FlashcardOptions, QuizOptions, StudyAidStatus, StudyKind, StudyRequest, SummaryOptions
from quire.database import artifacts
from quire.database.engine import transaction
from quire.database.tables import Artifact, Document
from quire.errors import ArtifactBusy, ArtifactNotFound, DatabaseUnreachable, DocumentNotFound
from quire.study_aids import STUDY_AID, StudyAid
from quire_api import problems
from quire_api.caller import Caller, CurrentCaller, require_token_quota
from quire_api.routers.documents import NOT_FOUND
from quire_api.visible import visible_document

router = APIRouter(prefix="/api/v1/documents/{document_id}/artifacts", tags=["study aids"], responses=NOT_FOUND)

_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "`document_not_found`, `artifact_not_found`", "model": problems.Problem}
}
_BUSY: Final[dict[int | str, dict[str, Any]]] = {409: {"description": "`artifact_busy`", "model": problems.Problem}}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/markdown": _BINARY,
            "text/csv": _BINARY,
            "application/octet-stream": _BINARY,
        }
    }
}


class ArtifactError(BaseModel):
    """Why there is none, and what to do."""

    code: str
    message: str


class ArtifactTokens(BaseModel):
    """What was used so far; `cost` is None where no prices are set."""

    requests: int
    input: int
    output: int
    cost: float | None


class ArtifactView(BaseModel):
    """A study aid, and how far it is. `result` is None in lists, and until it is made."""

    id: UUID
    document_id: UUID
    kind: StudyKind
    options: SummaryOptions | FlashcardOptions | QuizOptions
    status: StudyAidStatus = Field(description="waiting: for its document; unavailable: no language model is set up")
    windows_done: int = Field(description="answers of the model so far, those that were asked for again included")
    windows_total: int | None = Field(description="parts of the document that are asked about; None until it is known")
    result: StudyAid | None
    model: str | None
    prompt_version: str | None
    tokens: ArtifactTokens
    timings: dict[str, float] | None = Field(description="seconds")
    error: ArtifactError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ArtifactList(BaseModel):
    """Study aids without their results, the newest first. `next_cursor` asks for those that follow; None at the end."""

    items: list[ArtifactView]
    next_cursor: UUID | None


@router.post("", status_code=202, summary="Ask for a study aid")
def create(document_id: UUID, asked: StudyRequest, caller: CurrentCaller) -> ArtifactView:
    """Have a study aid made when the document has been read. Asked for again with equal options it is the same one."""
    require_token_quota(caller)
    with transaction() as session:
        visible_document(session, document_id, caller)
        artifact_id = artifacts.request(session, document_id, asked)
        if artifact_id is None:
            raise DocumentNotFound(f"There is no document {document_id} any more.")
    _dispatch()
    return _view(document_id, artifact_id, caller)


@router.get("", summary="List study aids")
def list_all(
    document_id: UUID,
    caller: CurrentCaller,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[UUID | None, Query(alias="cursor", description="next_cursor of the answer before")] = None,
) -> ArtifactList:
    """The document's study aids, and how far they are."""
    with transaction() as session:
        visible_document(session, document_id, caller)
        found = artifacts.list_artifacts(session, document_id, most=limit + 1, after=after)
        items = [artifact_view(each, with_result=False) for each in found[:limit]]
        return ArtifactList(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.get("/{artifact_id}", responses=_NOT_FOUND, summary="Look at a study aid")
def get_one(document_id: UUID, artifact_id: UUID, caller: CurrentCaller) -> ArtifactView:
    """A study aid with its citations, once it is made."""
    return _view(document_id, artifact_id, caller)


@router.post("/{artifact_id}/rerun", status_code=202, responses=_NOT_FOUND | _BUSY, summary="Make it again")
def rerun(document_id: UUID, artifact_id: UUID, caller: CurrentCaller) -> ArtifactView:
    """Make a study aid again; one that failed goes on where it did."""
    require_token_quota(caller)
    with transaction() as session:
        _require(session, document_id, artifact_id, caller)
        if not artifacts.rerun(session, artifact_id):
            raise ArtifactBusy("This study aid is not made yet. Wait until it is.")
    _dispatch()
    return _view(document_id, artifact_id, caller)


@router.get(
    "/{artifact_id}/export/{format}",
    response_class=Response,
    responses=_NOT_FOUND | _BUSY | _FILE,
    summary="Export a study aid",
)
def export(
    document_id: UUID,
    artifact_id: UUID,
    format: study_exports.Format,  # noqa: A002  it is the name in the address
    caller: CurrentCaller,
) -> Response:
    """Markdown, JSON; of flashcards CSV and an Anki package."""
    with transaction() as session:
        document, artifact = _require(session, document_id, artifact_id, caller)
        if artifact.result is None:
            raise ArtifactBusy("This study aid is not made yet. Wait until it is; if it failed, make it again.")
        made = STUDY_AID.validate_python(artifact.result)
        title = document.filename or str(document_id)
    file = study_exports.export(made, format, title, str(document_id))
    name = f"{PurePath(title).stem or document_id}.{made.kind}.{file.suffix}"
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(file.content, HTTPStatus.OK, headers, file.media_type)


def artifact_view(row: Artifact, *, with_result: bool = True) -> ArtifactView:
    """A row as it is answered."""
    error = ArtifactError(code=row.error_code, message=row.error_message or "") if row.error_code else None
    made = row.result if with_result else None
    tokens = ArtifactTokens(requests=row.requests, input=row.input_tokens, output=row.output_tokens, cost=row.cost)
    same = (
        "id document_id kind status windows_done windows_total model prompt_version timings created_at started_at "
        "finished_at"
    )
    values = {name: getattr(row, name) for name in same.split()}
    options = _OPTIONS[row.kind].model_validate(row.options)
    result = None if made is None else STUDY_AID.validate_python(made)
    return ArtifactView(**values, options=options, result=result, tokens=tokens, error=error)


_OPTIONS: Final[dict[str, type[SummaryOptions | FlashcardOptions | QuizOptions]]] = {
    "summary": SummaryOptions,
    "flashcards": FlashcardOptions,
    "quiz": QuizOptions,
}


def _require(session: Session, document_id: UUID, artifact_id: UUID, caller: Caller) -> tuple[Document, Artifact]:
    document = visible_document(session, document_id, caller)
    artifact = artifacts.get(session, document_id, artifact_id)
    if artifact is None:
        raise ArtifactNotFound(f"Document {document_id} has no study aid {artifact_id}.")
    return document, artifact


def _view(document_id: UUID, artifact_id: UUID, caller: Caller) -> ArtifactView:
    with transaction() as session:
        return artifact_view(_require(session, document_id, artifact_id, caller)[1])


def _dispatch() -> None:
    # It is accepted. The reconciler makes up for it.
    with contextlib.suppress(DatabaseUnreachable):
        jobs.dispatch_study_aids()
