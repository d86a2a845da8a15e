"""Connections to addresses that users name: never to this network, whatever a name resolves to.

Whoever may name a URL could otherwise have Quire ask its own network (server-side request forgery). Each connection is
checked at the moment it is made, against the very address it is made to, so a name that resolves differently the second
time gains nothing; TLS still verifies the name. `QUIRE_OUTBOUND_ALLOW` names hosts and networks that are fine.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from quire.errors import AddressNotAllowed, FetchFailed
from quire.settings import Settings
from quire.storage.base import refuse_oversize

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

_MOST_REDIRECTS: Final = 5
_SECONDS: Final = 120.0
_SILENCE_SECONDS: Final = 15.0
# IPv4 addresses inside of IPv6 ones (RFC 6052), which a translator in the network would unpack.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Not everywhere among what Python knows as private: IETF protocol assignments (RFC 6890), site-local addresses
# (RFC 3879), documentation (RFC 9637).
_NOT_PUBLIC: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "fec0::/10", "3fff::/20")))


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def open_outbound_client(
    settings: Settings, timeout: float, resolver: Resolver = resolve, *, seconds: float = math.inf
) -> httpx.Client:
    """A client that connects to public addresses only, follows no redirect, and knows no proxy.

    Requests raise `AddressNotAllowed` besides what httpx raises. `timeout` is seconds of silence; everything together
    may take so many `seconds` from now, however little at a time the other side sends.
    """
    transport = httpx.HTTPTransport(trust_env=False)
    guard = _Guard(settings, resolver, time.monotonic() + seconds)
    transport._pool = httpcore.ConnectionPool(ssl_context=ssl.create_default_context(), network_backend=guard)
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


def require_allowed(url: str, settings: Settings, resolver: Resolver = resolve) -> None:
    """Return if Quire would connect to where a URL leads now.

    Raises:
        AddressNotAllowed: it would not.
        FetchFailed: the host is not known.
    """
    parts = _parse(url)
    host = str(parts.hostname)
    _Guard(settings, resolver).allowed_addresses(host, parts.port or (443 if parts.scheme == "https" else 80))


def fetch_to(
    url: str, target: Path, max_bytes: int, settings: Settings, resolver: Resolver = resolve, seconds: float = _SECONDS
) -> int:
    """Write what is at a URL to the file `target`; its size in bytes.

    Raises:
        AddressNotAllowed: the URL, or one it redirects to, leads where Quire does not connect to.
        FetchFailed: no answer, another one than 200, an incomplete one, or one that took longer than `seconds`.
        TooLarge: it has more than `max_bytes`; not more than that was transferred.
    """
    deadline = time.monotonic() + seconds
    with open_outbound_client(settings, min(_SILENCE_SECONDS, seconds), resolver, seconds=seconds) as client:
        for _ in range(_MOST_REDIRECTS + 1):
            _parse(url)
            try:
                with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
                    if not answer.has_redirect_location:
                        return _save(answer, target, max_bytes)
                    url = str(answer.url.join(answer.headers["Location"]))
            except httpx.HTTPError as error:
                if time.monotonic() >= deadline:
                    raise FetchFailed("Fetching the file took too long.") from None
                raise FetchFailed(f"Nothing could be fetched from there ({type(error).__name__}).") from None
            except (httpx.InvalidURL, ValueError):
                raise FetchFailed("The address, or one it redirects to, is none.") from None
    raise FetchFailed(f"The address redirects more than {_MOST_REDIRECTS} times.")


def _save(answer: httpx.Response, target: Path, max_bytes: int) -> int:
    if answer.status_code != httpx.codes.OK:
        raise FetchFailed(f"The address answered with status {answer.status_code}.")
    announced = answer.headers.get("Content-Length", "")
    refuse_oversize(int(announced) if announced.isdigit() else 0, max_bytes)
    size = 0
    with target.open("wb") as file:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            refuse_oversize(size, max_bytes)
            file.write(chunk)
    return size


def _parse(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
        # What cannot be asked later is refused now: urlsplit overlooks line breaks and other unprintable characters.
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        raise AddressNotAllowed("The address is none.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressNotAllowed("Only http:// and https:// addresses with a host can be used.")
    if parts.username or parts.password:
        raise AddressNotAllowed("Leave name and password out of the address: it is stored and shown.")
    return parts


class _Guard(httpcore.NetworkBackend):
    """Makes httpcore's connections, to addresses that are allowed."""

    def __init__(self, settings: Settings, resolver: Resolver, deadline: float = math.inf) -> None:
        self._resolve = resolver
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()
        named = [part.strip() for part in settings.quire_outbound_allow.split(",") if part.strip()]
        self._networks = [network for part in named if (network := _network(part)) is not None]
        self._hosts = {part.lower() for part in named if _network(part) is None}

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self.allowed_addresses(host, port):
            left = _seconds_left(self._deadline, timeout)
            try:
                stream = self._backend.connect_tcp(address, port, left, local_address, socket_options)
                return _TimedStream(stream, self._deadline)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def allowed_addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be connected to."""
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise FetchFailed(f"The host {host!r} is not known.") from None
        if host.lower() not in self._hosts and not all(self._is_allowed(address) for address in addresses):
            raise AddressNotAllowed(
                f"{host!r} is not a public address. Quire does not connect to private ones unless "
                "QUIRE_OUTBOUND_ALLOW names them."
            )
        return addresses

    def _is_allowed(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        return is_public(parsed) or any(parsed in network for network in self._networks)


class _TimedStream(httpcore.NetworkStream):
    """A connection that is used no longer than until a deadline (`time.monotonic`)."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _seconds_left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _seconds_left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _seconds_left(self._deadline, timeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _seconds_left(deadline: float, timeout: float | None) -> float | None:
    """How long something may still take.

    Raises:
        httpcore.TimeoutException: no longer.
    """
    if deadline == math.inf:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.TimeoutException("It took too long.")
    return left if timeout is None else min(left, timeout)


def is_public(address: Address) -> bool:
    """Whether an address, and the IPv4 address inside of it if there is one, belongs to the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
