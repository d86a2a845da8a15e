"""Who is calling, and what of the documents they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends

SCOPES = ("documents:read", "documents:write", "webhooks", "admin")


@dataclass(frozen=True)
class Caller:
    """`owner` is whose documents the caller sees and makes; None sees everything.

    `key_id` is None where no keys are used.
    """

    owner: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    key_id: UUID | None = None


def current_caller() -> Caller:
    """The caller of this request."""
    return Caller()


CurrentCaller = Annotated[Caller, Depends(current_caller)]
