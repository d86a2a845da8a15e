"""Whether the process lives, whether it can do its work, and what is in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from quire.database.engine import transaction
from quire.errors import QuireError
from quire.jobs import count_tickets
from quire.settings import get_settings
from quire.storage import get_store

router = APIRouter(tags=["health"])

# Longer than a thread waits for a Postgres that does not answer: that is no reason to end the process.
_NO_THREAD_SECONDS: Final = 20


class Health(BaseModel):
    """`degraded`: documents are accepted, but nothing is read until Redis is back."""

    status: Literal["ok", "degraded", "unavailable"]
    postgres: str
    redis: str
    storage: str


class Liveness(BaseModel):
    """`stuck`: requests wait for a thread, and none has become free."""

    status: Literal["ok", "stuck"]


class Readiness(BaseModel):
    """What is `missing` keeps documents from being accepted; with what is `degraded` they are accepted, and wait."""

    status: Literal["ready", "degraded", "not_ready"]
    missing: dict[str, str] = Field(description="Error code by service.")
    degraded: dict[str, str] = Field(description="Error code by service.")


@router.get("/livez")
async def livez(response: Response) -> Liveness:
    """Whether the event loop turns and a thread becomes free. Asks no other service. 503: start the process again."""
    with anyio.move_on_after(_NO_THREAD_SECONDS):
        await anyio.to_thread.run_sync(_nothing)
        return Liveness(status="ok")
    response.status_code = 503
    return Liveness(status="stuck")


@router.get("/readyz")
def readyz(response: Response) -> Readiness:
    """Whether documents can be accepted. 503 without Postgres or storage; without Redis they wait until it is back."""
    required = {"postgres": _state(_ask_postgres), "storage": _state(_ask_storage)}
    missing = {service: state for service, state in required.items() if state != "ok"}
    redis = _state(count_tickets)
    degraded = {} if redis == "ok" else {"redis": redis}
    if missing:
        response.status_code = 503
        return Readiness(status="not_ready", missing=missing, degraded=degraded)
    return Readiness(status="degraded" if degraded else "ready", missing=missing, degraded=degraded)


def _nothing() -> None:
    """What a thread is asked to do."""


@router.get("/health")
def health(response: Response) -> Health:
    """Ask each service once. 503 if documents cannot be accepted."""
    postgres, redis, storage = _state(_ask_postgres), _state(count_tickets), _state(_ask_storage)
    if postgres != "ok" or storage != "ok":
        response.status_code = 503
        return Health(status="unavailable", postgres=postgres, redis=redis, storage=storage)
    return Health(status="ok" if redis == "ok" else "degraded", postgres=postgres, redis=redis, storage=storage)


def _state(ask: Callable[[], object]) -> str:
    try:
        ask()
    except QuireError as error:
        return error.code
    return "ok"


def _ask_postgres() -> None:
    with transaction() as session:
        session.execute(text("SELECT 1"))


def _ask_storage() -> None:
    get_store().check(get_settings().default_bucket)
