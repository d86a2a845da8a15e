"""Whether the service can do its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import text

from quire.database.engine import transaction
from quire.errors import QuireError
from quire.jobs import count_tickets
from quire.settings import get_settings
from quire.storage import get_store

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """`degraded`: documents are accepted, but nothing is read until Redis is back."""

    status: Literal["ok", "degraded", "unavailable"]
    postgres: str
    redis: str
    storage: str


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
