"""Study aids: asked for once, started when their document has ended, made by one worker at a time under a lease.

Whoever holds the lease writes every answer of the model as it comes, so that whoever goes on after it asks for the
others only. A lease that has run out lets others take the study aid over; its last holder then writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session, defer

from quire.contracts import StudyKind, StudyRequest
from quire.database import limits
from quire.database.tables import Artifact, ArtifactWindow, Document
from quire.errors import NoText, QuireError, WorkerLost

# Tasks that are on their way at once, so that the queue does not fill up, and seconds after which one counts as lost.
_MOST_ON_THEIR_WAY: Final = 32
_ARRIVAL_SECONDS: Final = 300

_NO_TEXT: Final = NoText("The document could not be read, so there is nothing to make a study aid of.")

# The document's row is held until the commit: who ends the document sees the artifact, or this sees that it has ended.
_REQUEST = text(f"""
    WITH d AS (SELECT id, status FROM documents WHERE id = :document_id FOR SHARE)
    INSERT INTO artifacts (id, document_id, kind, options, options_hash, status, error_code, error_message, finished_at)
    SELECT :id, d.id, :kind, CAST(:options AS jsonb), :options_hash,
        CASE WHEN d.status IN ('queued', 'running') THEN 'waiting'
             WHEN d.status IN ('completed', 'partial') THEN 'queued' ELSE 'failed' END,
        CASE WHEN d.status IN ('failed', 'cancelled') THEN '{_NO_TEXT.code}' END,
        CASE WHEN d.status IN ('failed', 'cancelled') THEN '{_NO_TEXT.message}' END,
        CASE WHEN d.status IN ('failed', 'cancelled') THEN now() END
    FROM d
    ON CONFLICT (document_id, kind, options_hash) DO NOTHING
""")

# A document that failed may be read again, and end well.
_START = text(f"""
    UPDATE artifacts a
    SET status = CASE WHEN d.status IN ('completed', 'partial') THEN 'queued' ELSE 'failed' END,
        error_code = CASE WHEN d.status IN ('completed', 'partial') THEN NULL ELSE '{_NO_TEXT.code}' END,
        error_message = CASE WHEN d.status IN ('completed', 'partial') THEN NULL ELSE '{_NO_TEXT.message}' END,
        finished_at = CASE WHEN d.status IN ('completed', 'partial') THEN NULL ELSE now() END,
        next_attempt_at = now()
    FROM documents d
    WHERE a.document_id = :document_id AND d.id = a.document_id
      AND (a.status = 'waiting' OR (a.status = 'failed' AND a.error_code = '{_NO_TEXT.code}'))
""")

_DISPATCH = text("""
    UPDATE artifacts SET dispatched_at = now()
    WHERE id IN (
        SELECT id FROM artifacts
        WHERE ((status = 'queued' AND next_attempt_at <= now()) OR (status = 'running' AND lease_expires_at < now()))
          AND (dispatched_at IS NULL OR dispatched_at < now() - make_interval(secs => :seconds))
        ORDER BY next_attempt_at
        LIMIT (SELECT greatest(0, :most - count(*)) FROM artifacts
               WHERE status = 'queued' AND dispatched_at >= now() - make_interval(secs => :seconds))
        FOR UPDATE SKIP LOCKED)
    RETURNING id, document_id, kind, options
""")

_CLAIM = text("""
    UPDATE artifacts a
    SET status = 'running', lease_token = :token, lease_expires_at = now() + make_interval(secs => :seconds),
        attempts = a.attempts + 1, started_at = coalesce(a.started_at, now()), dispatched_at = NULL
    FROM documents d
    WHERE a.id = :id AND d.id = a.document_id
      AND (a.status = 'queued' OR (a.status = 'running' AND a.lease_expires_at < now()))
    RETURNING a.attempts, a.document_id, a.kind, d.owner
""")

_RENEW = text("""
    UPDATE artifacts SET lease_expires_at = now() + make_interval(secs => :seconds)
    WHERE id = :id AND lease_token = :token RETURNING id
""")

# What was used is used, whoever holds the lease now. That the artifact got on says only who holds it.
_COUNT = text("""
    UPDATE artifacts
    SET requests = requests + :requests, input_tokens = input_tokens + :input_tokens,
        output_tokens = output_tokens + :output_tokens,
        cost = coalesce(cost + CAST(:cost AS float), cost, CAST(:cost AS float))
    WHERE id = :id
""")

_GOT_ON = text("""
    UPDATE artifacts SET windows_done = windows_done + 1, attempts = 0 WHERE id = :id AND lease_token = :token
    RETURNING id
""")

_KEEP = text("""
    INSERT INTO artifact_windows (artifact_id, step, answer) VALUES (:id, :step, :answer) ON CONFLICT DO NOTHING
""")

_TOKENS_OF_DOCUMENT = text("""
    SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM artifacts WHERE document_id = :document_id
""")


@dataclass(frozen=True)
class Due:
    """A study aid that is to get a task."""

    id: UUID
    document_id: UUID
    kind: StudyKind
    options: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """The right to write a study aid, for as long as its lease lives."""

    artifact_id: UUID
    token: UUID
    document_id: UUID
    kind: StudyKind
    owner: str
    attempts: int


@dataclass(frozen=True)
class Used:
    """What requests to the model have cost; `cost` is None where no prices are set."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost: float | None = None


class TokensUsed(NamedTuple):
    """Tokens of all study aids of a document; those of its owner on this day, and how many its keys allow (or any)."""

    of_document: int
    today: int
    allowed: int | None


def request(session: Session, document_id: UUID, asked: StudyRequest) -> UUID | None:
    """Ask for a study aid; its id, which is that of an earlier one for the same kind and options.

    None if there is no such document.
    """
    values = {
        "id": uuid4(),
        "document_id": document_id,
        "kind": asked.kind,
        "options": json.dumps(asked.options.model_dump(mode="json")),
        "options_hash": asked.options.digest(),
    }
    session.execute(_REQUEST, values)
    return session.scalar(
        select(Artifact.id).where(
            Artifact.document_id == document_id,
            Artifact.kind == asked.kind,
            Artifact.options_hash == values["options_hash"],
        )
    )


def start_waiting(session: Session, document_id: UUID) -> None:
    """Queue the study aids that wait for a document's end, in the transaction that ends it.

    Those of a document that could not be read fail.
    """
    session.execute(_START, {"document_id": document_id})


def dispatch(session: Session) -> list[Due]:
    """Study aids that are to get a task now; nobody else gets them for a while."""
    rows = session.execute(_DISPATCH, {"most": _MOST_ON_THEIR_WAY, "seconds": _ARRIVAL_SECONDS})
    return [Due(row.id, row.document_id, row.kind, row.options) for row in rows]


def claim(session: Session, artifact_id: UUID, *, seconds: float, attempts: int) -> Claim | None:
    """Take a study aid to work on it; None if nobody needs to, or somebody does already.

    One that was taken `attempts` times without getting on ends as failed.
    """
    token = uuid4()
    row = session.execute(_CLAIM, {"id": artifact_id, "token": token, "seconds": seconds}).first()
    if row is None:
        return None
    taken = Claim(artifact_id, token, row.document_id, row.kind, row.owner, row.attempts)
    if taken.attempts <= attempts:
        return taken
    lost = WorkerLost(
        f"The worker ended {attempts} times while it made this. Check its memory and log, then try again."
    )
    fail(session, taken, lost)
    return None


def renew(session: Session, taken: Claim, *, seconds: float) -> bool:
    """Let the lease run for another `seconds` from now; False if it was lost."""
    values = {"id": taken.artifact_id, "token": taken.token, "seconds": seconds}
    return session.execute(_RENEW, values).first() is not None


def kept(session: Session, taken: Claim, step: str) -> str | None:
    """The answer to this request, if it has been paid for, or what was made of a window's answers."""
    found = session.get(ArtifactWindow, (taken.artifact_id, step))
    return None if found is None else found.answer


def keep(session: Session, taken: Claim, step: str, answer: str) -> bool:
    """Write an answer; False if the lease was lost."""
    if session.execute(_GOT_ON, {"id": taken.artifact_id, "token": taken.token}).first() is None:
        return False
    session.execute(_KEEP, {"id": taken.artifact_id, "step": step, "answer": answer})
    return True


def remember(session: Session, taken: Claim, step: str, found: str) -> bool:
    """Write what follows from answers, which `kept` gives back as well; False if the lease was lost."""
    held = select(Artifact.id).where(Artifact.id == taken.artifact_id, Artifact.lease_token == taken.token)
    if session.scalar(held.with_for_update(key_share=True)) is None:
        return False
    session.execute(_KEEP, {"id": taken.artifact_id, "step": step, "answer": found})
    return True


def count(session: Session, taken: Claim, used: Used) -> None:
    """Add what requests have cost, useful or not."""
    values = {"requests": used.requests, "input_tokens": used.input_tokens, "output_tokens": used.output_tokens}
    session.execute(_COUNT, {"id": taken.artifact_id, "cost": used.cost, **values})
    limits.add_tokens(session, taken.owner, used.input_tokens + used.output_tokens)


def tokens_used(session: Session, taken: Claim) -> TokensUsed:
    """What may bound the next request."""
    of_document = session.scalar(_TOKENS_OF_DOCUMENT, {"document_id": taken.document_id})
    today, _ = limits.tokens_today(session, taken.owner)
    return TokensUsed(int(of_document or 0), today, limits.tokens_allowed(session, taken.owner))


def note_windows(session: Session, taken: Claim, total: int) -> None:
    """Note how many requests there will be, about."""
    _write(session, taken, {"windows_total": total})


def finish(
    session: Session,
    taken: Claim,
    result: dict[str, Any],
    *,
    model: str,
    prompt_version: str,
    timings: dict[str, float],
) -> bool:
    """Write a study aid that is made; False if the lease was lost. The model's answers are in it now."""
    written = _write(
        session,
        taken,
        _ended("completed")
        | {"result": result, "model": model, "prompt_version": prompt_version, "timings": timings}
        | {"error_code": None, "error_message": None},
    )
    if written:
        session.execute(delete(ArtifactWindow).where(ArtifactWindow.artifact_id == taken.artifact_id))
    return written


def fail(session: Session, taken: Claim, error: QuireError, *, unavailable: bool = False) -> bool:
    """End a study aid that cannot be made; False if the lease was lost. Answers that are paid for are kept."""
    status = "unavailable" if unavailable else "failed"
    return _write(session, taken, _ended(status) | {"error_code": error.code, "error_message": error.message})


def put_off(session: Session, taken: Claim, *, seconds: float = 0.0, begun: bool = True) -> bool:
    """Give a study aid back, for somebody to go on with it in so many `seconds`; False if the lease was lost.

    The attempt counts if it was `begun`.
    """
    values: dict[str, Any] = {
        "status": "queued",
        "lease_token": None,
        "lease_expires_at": None,
        "next_attempt_at": text(f"now() + make_interval(secs => {float(seconds)})"),
    }
    if not begun:
        values["attempts"] = text("greatest(0, attempts - 1)")
    return _write(session, taken, values)


def rerun(session: Session, artifact_id: UUID) -> bool:
    """Have a study aid made again that has ended; False if it has not. A failed one goes on with what is paid for."""
    row = session.scalar(select(Artifact).where(Artifact.id == artifact_id).with_for_update())
    if row is None or row.status not in ("completed", "failed", "unavailable"):
        return False
    if row.status == "completed":
        session.execute(delete(ArtifactWindow).where(ArtifactWindow.artifact_id == artifact_id))
    document = session.get_one(Document, row.document_id)
    read = document.status in ("completed", "partial")
    if not read and document.status not in ("queued", "running"):
        return True
    row.status = "queued" if read else "waiting"
    row.result = row.error_code = row.error_message = row.started_at = row.finished_at = row.timings = None
    row.attempts, row.windows_done, row.windows_total, row.dispatched_at = 0, 0, None, None
    row.next_attempt_at = text("now()")  # type: ignore[assignment]
    return True


def get(session: Session, document_id: UUID, artifact_id: UUID) -> Artifact | None:
    """A study aid of this document, or None."""
    found = session.get(Artifact, artifact_id)
    return found if found is not None and found.document_id == document_id else None


def list_artifacts(session: Session, document_id: UUID, *, most: int, after: UUID | None = None) -> Sequence[Artifact]:
    """A document's study aids without their results, the newest first: `most` of those that follow `after`."""
    statement = select(Artifact).where(Artifact.document_id == document_id).options(defer(Artifact.result))
    if after is not None:
        cursor = session.get(Artifact, after)
        if cursor is not None:
            statement = statement.where(
                (Artifact.created_at < cursor.created_at)
                | ((Artifact.created_at == cursor.created_at) & (Artifact.id > cursor.id))
            )
    return session.scalars(statement.order_by(Artifact.created_at.desc(), Artifact.id).limit(most)).all()


def _ended(status: str) -> dict[str, Any]:
    return {"status": status, "lease_token": None, "lease_expires_at": None, "finished_at": text("now()")}


def _write(session: Session, taken: Claim, values: dict[str, Any]) -> bool:
    held = update(Artifact).where(Artifact.id == taken.artifact_id, Artifact.lease_token == taken.token)
    return session.execute(held.values(**values).returning(Artifact.id)).first() is not None
