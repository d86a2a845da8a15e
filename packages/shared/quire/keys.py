"""Keys of the API: made, listed, revoked, and recognised. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from quire.database.tables import ApiKey
from quire.errors import InvalidPayload

# What a key may be used for. `admin` is everything, for every owner.
SCOPES: Final = ("documents:read", "documents:write", "webhooks", "metrics", "admin")
USUAL_SCOPES: Final = ("documents:read", "documents:write", "webhooks")

_BEGINNING: Final = "qk_"
_SECRET_BYTES: Final = 32
_SHOWN: Final = 9


def create_key(
    session: Session,
    *,
    name: str,
    owner: str,
    scopes: Sequence[str] = USUAL_SCOPES,
    requests_per_minute: int | None = None,
    pages_per_day: int | None = None,
    tokens_per_day: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is not kept: show it once. Keys of one owner see the same documents.

    Raises:
        InvalidPayload: there is no such scope, the owner has no name, or a limit is not positive.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidPayload(f"Scopes are {', '.join(SCOPES)}; not {', '.join(unknown) or 'none'}.")
    if not owner.strip() or not name.strip():
        raise InvalidPayload("A key needs a name and an owner.")
    if any(limit is not None and limit <= 0 for limit in (requests_per_minute, pages_per_day, tokens_per_day)):
        raise InvalidPayload("Limits of a key are positive numbers.")
    secret = _BEGINNING + secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        id=uuid4(),
        name=name,
        owner=owner,
        prefix=secret[:_SHOWN],
        digest=digest_of(secret),
        scopes=list(dict.fromkeys(scopes)),
        requests_per_minute=requests_per_minute,
        pages_per_day=pages_per_day,
        tokens_per_day=tokens_per_day,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    session.refresh(key)
    return key, secret


def list_keys(session: Session, *, owner: str | None = None) -> list[ApiKey]:
    """All keys, the newest first, revoked and expired ones too; those of one `owner` where it is named."""
    statement = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)
    if owner is not None:
        statement = statement.where(ApiKey.owner == owner)
    return list(session.scalars(statement))


def revoke_key(session: Session, key_id: UUID) -> bool:
    """Make a key worthless, within the seconds that API processes remember it; False if it is not there or was."""
    revoked = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    ).first()
    return revoked is not None


def find_key(session: Session, secret: str) -> ApiKey | None:
    """The valid key with this secret, or None. A digest is looked up: no comparison takes longer the more is right."""
    return session.scalar(select(ApiKey).where(ApiKey.digest == digest_of(secret), *_valid()))


def has_valid_key(session: Session) -> bool:
    """Whether anybody could call the API."""
    return session.scalar(select(ApiKey.id).where(*_valid()).limit(1)) is not None


def note_use(session: Session, key_id: UUID) -> None:
    """Remember that a key was used; at most once a minute a row is written."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 1))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=func.now()))


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. It has 256 random bits: nothing slower than SHA-256 is needed."""
    return hashlib.sha256(secret.encode()).digest()


def _valid() -> tuple[Any, ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
