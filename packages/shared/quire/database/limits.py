"""How much was asked for: requests of a key by the minute, pages and tokens of an owner by the day (UTC)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

_COUNT_REQUEST = text("""
    INSERT INTO request_windows AS w (key_id, minute, requests)
    VALUES (:key_id, floor(extract(epoch FROM now()) / 60)::bigint, 1)
    ON CONFLICT (key_id, minute) DO UPDATE SET requests = w.requests + 1
    RETURNING requests, 60 - extract(epoch FROM now())::numeric % 60 AS seconds_left
""")

_ADD_PAGES = text("""
    INSERT INTO usage AS u (owner, day, pages) VALUES (:owner, (now() AT TIME ZONE 'UTC')::date, :pages)
    ON CONFLICT (owner, day) DO UPDATE SET pages = u.pages + :pages
""")

_PAGES_TODAY = text("""
    SELECT coalesce((SELECT pages FROM usage WHERE owner = :owner AND day = (now() AT TIME ZONE 'UTC')::date), 0)
               AS pages,
           86400 - extract(epoch FROM now())::numeric % 86400 AS seconds_left
""")

_ADD_TOKENS = text("""
    INSERT INTO usage AS u (owner, day, pages, tokens) VALUES (:owner, (now() AT TIME ZONE 'UTC')::date, 0, :tokens)
    ON CONFLICT (owner, day) DO UPDATE SET tokens = u.tokens + :tokens
""")

_TOKENS_TODAY = text("""
    SELECT coalesce((SELECT tokens FROM usage WHERE owner = :owner AND day = (now() AT TIME ZONE 'UTC')::date), 0)
               AS tokens,
           86400 - extract(epoch FROM now())::numeric % 86400 AS seconds_left
""")

# A key without a limit is one that may use any number. Keys of administrators see every owner: they are nobody's.
_TOKENS_ALLOWED = text("""
    SELECT CASE WHEN bool_and(tokens_per_day IS NOT NULL) THEN max(tokens_per_day) END FROM api_keys
    WHERE owner = :owner AND NOT 'admin' = ANY(scopes)
      AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")

_FORGET = text("DELETE FROM request_windows WHERE minute < floor(extract(epoch FROM now()) / 60)::bigint - :minutes")


def count_request(session: Session, key_id: UUID) -> tuple[int, float]:
    """Count a request; how many there are with it in this minute, and the seconds that it has left."""
    row = session.execute(_COUNT_REQUEST, {"key_id": key_id}).one()
    return int(row.requests), float(row.seconds_left)


def add_pages(session: Session, owner: str, pages: int) -> None:
    """Count pages that are going to be read for an owner."""
    session.execute(_ADD_PAGES, {"owner": owner, "pages": pages})


def pages_today(session: Session, owner: str) -> tuple[int, float]:
    """Pages of an owner on this day, and the seconds that it has left."""
    row = session.execute(_PAGES_TODAY, {"owner": owner}).one()
    return int(row.pages), float(row.seconds_left)


def add_tokens(session: Session, owner: str, tokens: int) -> None:
    """Count tokens that an owner's study aids have cost."""
    session.execute(_ADD_TOKENS, {"owner": owner, "tokens": tokens})


def tokens_today(session: Session, owner: str) -> tuple[int, float]:
    """Tokens that an owner's study aids have cost on this day, and the seconds that it has left."""
    row = session.execute(_TOKENS_TODAY, {"owner": owner}).one()
    return int(row.tokens), float(row.seconds_left)


def tokens_allowed(session: Session, owner: str) -> int | None:
    """Tokens that an owner's study aids may cost on a day: the largest limit of its keys; None if one has none."""
    allowed = session.scalar(_TOKENS_ALLOWED, {"owner": owner})
    return None if allowed is None else int(allowed)


def forget_requests(session: Session, *, minutes: int = 5) -> None:
    """Drop counts of minutes that are over."""
    session.execute(_FORGET, {"minutes": minutes})
