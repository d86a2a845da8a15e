"""Who the caller is."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from quire_api.caller import CurrentCaller

router = APIRouter(prefix="/api/v1", tags=["keys"])


class Me(BaseModel):
    """Whose documents the caller sees (None: everybody's), and what they may do. `auth` says whether keys are used."""

    owner: str | None
    scopes: list[str]
    auth: bool


@router.get("/me", summary="Who am I?")
def me(caller: CurrentCaller) -> Me:
    """What the key that was sent is good for."""
    return Me(owner=caller.owner, scopes=sorted(caller.scopes), auth=caller.key_id is not None)
