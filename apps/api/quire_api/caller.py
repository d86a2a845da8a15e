"""Who is calling, and what of the documents they may see.

A router takes `CurrentCaller` and passes its `owner` on; `app.py` says which scope each router asks for. With
`QUIRE_AUTH=off` everybody may do everything, and the API answers nobody but this machine.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from quire.database import limits
from quire.database.engine import statements, transaction
from quire.errors import Forbidden, QuotaExceeded, RateLimited, Unauthorized
from quire.keys import SCOPES, find_key, note_use
from quire.settings import get_settings

# A key that was valid is taken for valid so many seconds: as long as it may work after it was revoked.
_REMEMBERED_SECONDS: Final = 5.0
_MOST_REMEMBERED: Final = 10_000
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """`owner` is whose documents the caller sees and makes; None sees everything.

    `key_id` is None where no keys are used. Limits are None where there are none.
    """

    owner: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    key_id: UUID | None = None
    requests_per_minute: int | None = None
    pages_per_day: int | None = None


class _Remembered:
    """Keys that were looked up a moment ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: dict[bytes, tuple[float, Caller]] = {}

    def get(self, digest: bytes) -> Caller | None:
        until, caller = self._callers.get(digest, (0.0, None))
        return caller if time.monotonic() < until else None

    def put(self, digest: bytes, caller: Caller) -> None:
        with self._lock:
            if len(self._callers) >= _MOST_REMEMBERED:
                self._callers.clear()
            self._callers[digest] = (time.monotonic() + _REMEMBERED_SECONDS, caller)


_remembered: Final = _Remembered()


async def recognized_caller(request: Request) -> Caller:
    """The caller of this request, which is not counted.

    Raises:
        Unauthorized: no key, or none that is valid.
        Forbidden: no keys are used, and the request did not come from this machine.
    """
    if get_settings().quire_auth == "off":
        _require_this_machine(request)
        return Caller()
    secret = _secret_of(request)
    if not secret:
        raise Unauthorized("An API key is needed: Authorization: Bearer qk_… (quire keys create makes one).")
    # Not the secret itself: it should not lie around in memory.
    digest = hashlib.sha256(secret.encode()).digest()
    # Only what asks Postgres goes to a thread: each change of threads is time that every other request waits.
    known = _remembered.get(digest)
    return known if known is not None else await run_in_threadpool(_find_caller, secret, digest)


async def current_caller(request: Request) -> Caller:
    """The caller of this request, which counts against the limit of their key.

    Raises:
        Unauthorized, Forbidden: see `recognized_caller`.
        RateLimited: the key's requests of this minute are used up.
    """
    caller = await recognized_caller(request)
    if caller.requests_per_minute is not None and caller.key_id is not None:
        await run_in_threadpool(_count, caller.key_id, caller.requests_per_minute)
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]


def require(scope: str) -> Callable[[Caller], Awaitable[None]]:
    """A dependency that lets callers with this scope through; others get `Forbidden`."""

    async def check(caller: CurrentCaller) -> None:
        _require_scope(caller, scope)

    return check


async def require_documents(request: Request, caller: CurrentCaller) -> None:
    """A dependency: `documents:read` to look at documents, `documents:write` for all else."""
    _require_scope(caller, "documents:read" if request.method in _READING else "documents:write")


def owner_of(named: str, caller: Caller) -> str:
    """Whose a new document is.

    Raises:
        Forbidden: the caller's key belongs to another owner than the one named.
    """
    if caller.owner is None:
        return named
    if named not in ("", caller.owner):
        raise Forbidden("owner: what a key makes belongs to the key's owner. Leave the field out.")
    return caller.owner


def require_quota(caller: Caller) -> None:
    """Return if the caller may have more pages read today.

    Raises:
        QuotaExceeded: the pages of this day are used up.
    """
    if caller.pages_per_day is None or caller.owner is None:
        return
    with statements() as session:
        used, seconds_left = limits.pages_today(session, caller.owner)
    if used >= caller.pages_per_day:
        raise QuotaExceeded(
            f"{used:,} pages were read today, {caller.pages_per_day:,} may be. Go on after midnight (UTC), or ask for "
            "a larger quota.",
            math.ceil(seconds_left),
        )


def _require_scope(caller: Caller, scope: str) -> None:
    if not caller.scopes & {scope, "admin"}:
        raise Forbidden(f"This key may not do that: it has no scope {scope}.")


def _require_this_machine(request: Request) -> None:
    """Without keys only this machine is answered, whatever address the server was told to listen on.

    A browser on this machine is not enough: a foreign page in it can send requests here (`Origin`), and whoever owns
    the page's name can have that lead here afterwards (`Host`).
    """
    arrived_at = (request.scope.get("server") or ("", None))[0]
    origin = request.headers.get("Origin")
    if not (
        _is_this_machine(arrived_at)
        and _is_this_machine(_host_in(f"//{request.headers.get('Host', '')}"))
        and (origin is None or _is_this_machine(_host_in(origin, missing="null")))
    ):
        raise Forbidden("QUIRE_AUTH=off is for this machine only. Set QUIRE_AUTH=required and make a key.")


def _host_in(address: str, missing: str = "") -> str:
    try:
        return urlsplit(address).hostname or missing
    except ValueError:
        return "null"


def _is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address or `localhost`; or none, as where a server listens on a socket file."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.startswith("/")


def _secret_of(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    return request.headers.get("X-API-Key", "").strip()


def _find_caller(secret: str, digest: bytes) -> Caller:
    with transaction() as session:
        key = find_key(session, secret)
        if key is None:
            raise Unauthorized("The API key is not valid: unknown, revoked or expired.")
        note_use(session, key.id)
    caller = Caller(
        None if "admin" in key.scopes else key.owner,
        frozenset(key.scopes),
        key.id,
        key.requests_per_minute,
        key.pages_per_day,
    )
    _remembered.put(digest, caller)
    return caller


def _count(key_id: UUID, most: int) -> None:
    with statements() as session:
        requests, seconds_left = limits.count_request(session, key_id)
    if requests > most:
        raise RateLimited(f"This key may ask {most:,} times a minute. Try again soon.", math.ceil(seconds_left))
