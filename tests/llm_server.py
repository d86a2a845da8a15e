"""A server that speaks OpenAI's chat completions, as well or as badly as a test wants it to.

It answers from the document in the request, with quotes that are in it; `faults` come first, one a request.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-7f3a9c51d2"
_PAGE = re.compile(r"^PAGE (\d+) ([0-9a-f]{16})\n", re.M)
_MOST = re.compile(r"at most (\d+)")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    body: dict[str, Any]
    authorization: str

    @property
    def system(self) -> str:
        return str(self.body["messages"][0]["content"])

    @property
    def user(self) -> str:
        return str(self.body["messages"][1]["content"])

    @property
    def mode(self) -> str:
        return str(self.body.get("response_format", {}).get("type", "plain"))

    @property
    def shape(self) -> str:
        """The name of the schema that the answer is to fit."""
        if self.mode == "json_schema":
            return str(self.body["response_format"]["json_schema"]["name"])
        return str(json.loads(self.system[self.system.rindex("nothing else:\n") + 14 :])["title"])

    @property
    def most(self) -> int:
        found = _MOST.search(self.system[max(0, self.system.find("Your task:")) :])
        return int(found[1]) if found else 5

    @property
    def pages(self) -> dict[int, list[str]]:
        """Lines of the document in the request, by page."""
        content = self.user.partition("\n")[2].partition("\nEND ")[0]
        parts = _PAGE.split(content)
        return {int(number): text.strip().split("\n") for number, text in zip(parts[1::3], parts[3::3], strict=True)}


@dataclass(frozen=True)
class Fault:
    """What comes instead of a good answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    error: dict[str, Any] | None = None
    content: str | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    seconds: float = 0.0
    drop: bool = False
    # Seconds between the pieces of an answer that is sent in chunks; such an answer breaks off with `drop`.
    drip: float | None = None


Answer = Callable[[Asked], dict[str, Any] | Fault]


def honest(asked: Asked) -> dict[str, Any]:
    """As many items as were asked for, evenly from all lines, each with the line as its quote."""
    if asked.shape == "Choice":
        numbers = [int(each) for each in re.findall(r"^\[(\d+)\]", asked.user, re.M)]
        chosen = numbers[:: max(1, len(numbers) // asked.most)][: asked.most]
        return {"points": [{"text": f"Of note {number}.", "sources": [number]} for number in chosen]}
    lines = [(page, line) for page, found in asked.pages.items() for line in found if len(line.split()) > 2]
    some = [lines[index * len(lines) // asked.most] for index in range(min(asked.most, len(lines)))]
    some = some if len(lines) > asked.most else lines
    makes: dict[str, tuple[str, Callable[[int, str], dict[str, Any]]]] = {
        "Points": ("points", point),
        "Cards": ("cards", card),
        "Questions": ("questions", question),
    }
    name, make = makes[asked.shape]
    return {name: [make(page, line) for page, line in some]}


def point(page: int, line: str) -> dict[str, Any]:
    return {"heading": "", "text": f"It says: {line}", "quotes": [{"page": page, "quote": line}]}


def card(page: int, line: str) -> dict[str, Any]:
    quotes = [{"page": page, "quote": line}]
    return {"front": f"What of {line}?", "back": f"It is {line}.", "difficulty": "easy", "quotes": quotes}


def question(page: int, line: str) -> dict[str, Any]:
    options = [{"text": text, "explanation": f"Because of {text}."} for text in ("this", "that", "neither")]
    return {
        "kind": "single_choice",
        "question": f"Which is it: {line}?",
        "options": options,
        "correct_options": ["this"],
        "answer": "",
        "explanation": "",
        "quotes": [{"page": page, "quote": line}],
    }


@dataclass
class LlmServer:
    """`asked` has every request, `most_at_once` how many there were side by side."""

    url: str = ""
    answer: Answer = honest
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        asked = Asked(body, handler.headers.get("Authorization", ""))
        with self._lock:
            self.asked.append(asked)
            number = len(self.asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fault = self.faults.pop(0) if self.faults else None
        try:
            self.before(number)
            given: dict[str, Any] | Fault = fault if fault is not None else self.answer(asked)
            if isinstance(given, dict):
                given = Fault(content=json.dumps(given, ensure_ascii=False))
            _send(handler, given, body)
        finally:
            with self._lock:
                self._at_once -= 1


def _send(handler: BaseHTTPRequestHandler, fault: Fault, body: dict[str, Any]) -> None:
    time.sleep(fault.seconds)
    content = fault.raw
    if content is None and fault.error is not None:
        content = json.dumps({"error": fault.error}).encode()
    if content is None:
        message = {"role": "assistant", "content": fault.content, "refusal": fault.refusal}
        completion = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": fault.finish_reason}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        content = json.dumps(completion).encode()
    try:
        handler.send_response(fault.status)
        for name, value in {"Content-Type": "application/json", **fault.headers}.items():
            handler.send_header(name, value)
        if fault.drip is not None:
            _drip(handler, content, fault)
            return
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2] if fault.drop else content)
        if fault.drop:
            handler.close_connection = True
    except OSError:
        # Nobody waits for it any more.
        handler.close_connection = True


def _drip(handler: BaseHTTPRequestHandler, content: bytes, fault: Fault) -> None:
    """Send an answer in chunks of a few bytes."""
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(content) // 2 if fault.drop else len(content), 16):
        piece = content[start : start + 16]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.flush()
        time.sleep(fault.drip or 0.0)
    if fault.drop:
        handler.close_connection = True
        return
    handler.wfile.write(b"0\r\n\r\n")


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """A server on a free port."""
    serving = LlmServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            serving.reply(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    serving.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
