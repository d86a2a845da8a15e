"""What there is to tell about a document, what a client has been told, and the events that lead from one to the other.

Events are made from states and not kept: a client that was away, or is slow, gets one event for each page that is
finished now and that it has not been told about, whatever happened in between and whichever process it asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fastapi.sse import format_sse_event

from quire_api import page_sets

ENDED: Final = ("completed", "partial", "failed", "cancelled", "deleted")
HEARTBEAT: Final = format_sse_event(comment="still here")

_EVENTS_AT_ONCE: Final = 256
# What is longer comes from nobody: see `page_sets`.
_LONGEST_ID: Final = 16_384
_RECONNECT_MILLISECONDS: Final = 1000


@dataclass(frozen=True)
class Snapshot:
    """A document at one moment: its status, its finished pages as sets, the JSON that describes it.

    `errors` has the error of each failed page. The status of a document that is gone is `deleted`, and `document` is
    empty where it was gone from the start.
    """

    status: str
    done: int = 0
    failed: int = 0
    document: str = ""
    errors: Mapping[int, Mapping[str, Any]] = field(default_factory=dict, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will follow, unless it is retried."""
        return self.status in ENDED


@dataclass(frozen=True)
class Told:
    """What a client knows: the pages it has had events for, the status of its last id, the last `document`."""

    done: int = 0
    failed: int = 0
    status: str = ""
    document: str | None = None

    @classmethod
    def from_id(cls, event_id: str | None) -> Told:
        """What a client knows whose last event had this id; nothing if it is none of ours."""
        if not event_id or len(event_id) > _LONGEST_ID or event_id.count(";") != 2:
            return cls()
        done, failed, status = event_id.split(";")
        try:
            return cls(page_sets.from_text(done), page_sets.from_text(failed), status)
        except ValueError:
            return cls()

    @property
    def event_id(self) -> str:
        """This as the id of an event: finished pages, failed pages, status."""
        return f"{page_sets.to_text(self.done)};{page_sets.to_text(self.failed)};{self.status}"

    def knows_end_of(self, snapshot: Snapshot) -> bool:
        """Whether there is nothing to tell, and never will be: only the id of `end` has the status of an end."""
        known = (self.done, self.failed, self.status)
        return snapshot.has_ended and known == (snapshot.done, snapshot.failed, snapshot.status)


def events(told: Told, now: Snapshot) -> Iterator[tuple[bytes, Told]]:
    """The events that tell a client how things are now, some at a time, each time with what it knows after these.

    A client that is new gets the document first; later it comes after the pages, so that no page is counted before its
    event. A page that is to be read again is forgotten without an event.
    """
    is_new = told.document is None and bool(now.document)
    status = "running" if now.has_ended else now.status
    told = replace(told, done=told.done & now.done, failed=told.failed & now.failed, status=status)
    parts: list[bytes] = []
    if is_new:
        told = replace(told, document=now.document)
        parts.append(_document(told, retry=_RECONNECT_MILLISECONDS))
    for number in page_sets.numbers((now.done & ~told.done) | (now.failed & ~told.failed)):
        if now.done >> number & 1:
            told = replace(told, done=told.done | 1 << number)
            data: dict[str, Any] = {"page_number": number, "status": "done"}
        else:
            told = replace(told, failed=told.failed | 1 << number)
            data = {"page_number": number, "status": "failed", "error": now.errors.get(number)}
        parts.append(format_sse_event(data_str=_json(data), event="page", id=told.event_id))
        if len(parts) >= _EVENTS_AT_ONCE:
            yield b"".join(parts), told
            parts.clear()
    if told.document != now.document and now.document:
        told = replace(told, document=now.document)
        parts.append(_document(told))
    if now.has_ended:
        told = replace(told, status=now.status)
        data = {"status": now.status}
        parts.append(format_sse_event(data_str=_json(data), event="end", id=told.event_id))
    if parts:
        yield b"".join(parts), told


def _document(told: Told, retry: int | None = None) -> bytes:
    return format_sse_event(data_str=told.document, event="document", id=told.event_id, retry=retry)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
