"""Addresses that users name: public ones are connected to, whatever else they resolve to is not."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from quire.errors import AddressNotAllowed, FetchFailed, TooLarge
from quire.outbound import fetch_to, is_public, open_outbound_client, require_allowed
from quire.settings import Settings

ALLOWED = Settings(quire_outbound_allow="127.0.0.1")
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def sending(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:4700::1111", True), ("8.8.8.8", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("0.0.0.0", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("198.18.0.1", False), ("192.0.2.1", False), ("240.0.0.1", False),
        ("::1", False), ("::", False), ("fe80::1", False), ("fc00::1", False), ("ff02::1", False),
        ("2001:db8::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False), ("2002:0a00:0001::", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a00:1", False),
        ("2001:0:53aa:64c::1", False), ("64:ff9b:1::7f00:1", False), ("::7f00:1", False), ("fec0::1", False),
        ("fe80::1%eth0", False), ("192.0.0.8", False), ("3fff::1", False), ("5f00::1", False), ("100::1", False),
    ],
)  # fmt: skip
def test_only_the_public_internet_is_public(address: str, public: bool):
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/",
        "http://0177.0.0.1/", "http://127.1/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data",
        "ftp://example.com/", "file:///etc/passwd", "http:///x", "http://user@example.com/", "http://a:b@example.com/",
        "http://example.com:99999/", "gopher://example.com/", "http://93.184.215.14/\n", "http://93.184.215.14/\0",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(url: str):
    with pytest.raises((AddressNotAllowed, FetchFailed)):
        require_allowed(url, Settings())


def test_a_public_address_is_fine():
    require_allowed("https://example.com/hook", Settings(), lambda host, port: ["93.184.215.14"])


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(AddressNotAllowed):
        require_allowed("https://example.com/", Settings(), lambda host, port: ["93.184.215.14", "10.0.0.1"])


@pytest.mark.parametrize("allowed", ["internal.example", "10.0.0.0/8", "10.0.0.7", "other, 10.0.0.7 "])
def test_what_the_operator_names_is_allowed(allowed: str):
    settings = Settings(quire_outbound_allow=allowed)
    require_allowed("http://internal.example/", settings, lambda host, port: ["10.0.0.7"])
    with pytest.raises(AddressNotAllowed):
        require_allowed("http://internal.example.evil/", settings, lambda host, port: ["192.168.0.1"])


def test_a_file_is_fetched(tmp_path: Path):
    with serving(sending(b"x" * 100_000)) as url:
        assert fetch_to(f"{url}/a.pdf", tmp_path / "file", 200_000, ALLOWED) == 100_000
    assert (tmp_path / "file").read_bytes() == b"x" * 100_000


def test_a_name_that_resolves_to_another_address_the_second_time_gains_nothing(tmp_path: Path):
    """DNS rebinding: public when it is checked, private when it is connected to. There is only one look."""
    with serving(sending(b"secret")) as url:
        port = int(url.rpartition(":")[2])
        answers = iter([["93.184.215.14"], ["127.0.0.1"]])
        asked: list[str] = []

        def resolver(host: str, port: int) -> list[str]:
            asked.append(host)
            return next(answers)

        require_allowed(f"http://rebinding.example:{port}/", Settings(), resolver)
        with pytest.raises(AddressNotAllowed):
            fetch_to(f"http://rebinding.example:{port}/", tmp_path / "file", 100, Settings(), resolver)
    assert asked == ["rebinding.example"] * 2


def test_a_redirect_is_checked_like_the_first_address(tmp_path: Path):
    with (
        serving(sending(b"secret")) as inside,
        serving(sending(b"", 302, Location=inside.replace("127.0.0.1", "127.0.0.2"))) as outside,
        pytest.raises(AddressNotAllowed),
    ):
        fetch_to(outside, tmp_path / "file", 100, ALLOWED)
    with serving(sending(b"", 302, Location="file:///etc/passwd")) as url, pytest.raises(AddressNotAllowed):
        fetch_to(url, tmp_path / "file", 100, ALLOWED)
    with serving(sending(b"", 302, Location="/again")) as url, pytest.raises(FetchFailed, match="redirects"):
        fetch_to(url, tmp_path / "file", 100, ALLOWED)


def test_a_redirect_within_bounds_is_followed(tmp_path: Path):
    with serving(sending(b"there")) as target, serving(sending(b"", 301, Location=f"{target}/x")) as url:
        assert fetch_to(url, tmp_path / "file", 100, ALLOWED) == 5


@pytest.mark.parametrize("announced", [True, False])
def test_what_is_too_large_is_not_fetched_whole(announced: bool, tmp_path: Path):
    sent: list[int] = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if announced:
            request.send_header("Content-Length", str(10**9))
        request.end_headers()
        try:
            for _ in range(10_000):
                request.wfile.write(b"x" * 65536)
                sent.append(65536)
        except OSError:
            pass

    with serving(endless) as url, pytest.raises(TooLarge):
        fetch_to(url, tmp_path / "file", 1_000_000, ALLOWED)
    assert sum(sent) < 30_000_000


def test_an_answer_that_drips_is_given_up(tmp_path: Path):
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    started = time.monotonic()
    with serving(drip) as url, pytest.raises(FetchFailed, match="too long"):
        fetch_to(url, tmp_path / "file", 10_000, ALLOWED, seconds=1)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [404, 500, 204])
def test_another_status_is_no_file(status: int, tmp_path: Path):
    with serving(sending(b"", status)) as url, pytest.raises(FetchFailed, match=str(status)):
        fetch_to(url, tmp_path / "file", 100, ALLOWED)


def test_a_body_shorter_than_announced_is_no_file(tmp_path: Path):
    with serving(sending(b"half", Content_Length="8")) as url, pytest.raises(FetchFailed):
        fetch_to(url, tmp_path / "file", 100, ALLOWED)


def test_a_port_where_nobody_listens_is_a_typed_error(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchFailed):
        fetch_to(f"http://127.0.0.1:{port}/", tmp_path / "file", 100, ALLOWED)


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving(sending(b"direct")) as url, open_outbound_client(ALLOWED, 5) as client:
        assert client.get(url).text == "direct"


def test_a_guarded_client_follows_no_redirect():
    with serving(sending(b"", 302, Location="http://127.0.0.1/")) as url, open_outbound_client(ALLOWED, 5) as client:
        assert client.get(url).status_code == httpx.codes.FOUND


def test_headers_that_drip_are_given_up(tmp_path: Path):
    def drip(request: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                request.wfile.write(b"X-Part: a\r\n")
                time.sleep(0.1)

    with serving(drip) as url:
        begun = time.monotonic()
        with pytest.raises(FetchFailed, match="too long"):
            fetch_to(url, tmp_path / "file", 1000, ALLOWED, seconds=0.5)
        assert time.monotonic() - begun < 5
