"""The ids of progress events, and the events between what a client knows and how things are."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire_api import page_sets
from quire_api.progress import Snapshot, Told, events

numbers = st.integers(1, 300)
# Few long runs, or any pages at all.
page_set = st.one_of(
    st.sets(numbers, max_size=300),
    st.lists(st.tuples(numbers, numbers), max_size=4).map(
        lambda runs: {number for first, last in runs for number in range(first, last + 1)}
    ),
    st.just(set(range(1, 300, 2))),
)


def parse(stream: bytes) -> list[tuple[str, str, dict[str, object]]]:
    """Name, id and data of each event."""
    found = []
    for block in stream.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def tell(told: Told, now: Snapshot) -> tuple[list[tuple[str, str, dict[str, object]]], Told]:
    stream = b""
    for encoded, after in events(told, now):
        stream += encoded
        told = after
    return parse(stream), told


def pages_of(found: list[tuple[str, str, dict[str, object]]]) -> list[tuple[object, object]]:
    return [(data["page_number"], data["status"]) for name, _, data in found if name == "page"]


def snapshot(done: set[int], failed: set[int], status: str = "running") -> Snapshot:
    errors = {number: {"code": "corrupt", "message": "x"} for number in failed}
    document = json.dumps({"status": status, "done": len(done), "failed": len(failed)})
    return Snapshot(status, page_sets.of(done), page_sets.of(failed), document, errors)


@given(page_set)
def test_a_set_survives_its_text(chosen: set[int]):
    bits = page_sets.of(chosen)
    assert page_sets.from_text(page_sets.to_text(bits)) == bits
    assert list(page_sets.numbers(bits)) == sorted(chosen)


def test_sets_are_ranges_that_people_can_read():
    assert page_sets.to_text(page_sets.of([*range(1, 58), 60])) == "1-57,60"
    assert page_sets.to_text(0) == ""


def test_ids_of_ten_thousand_pages_fit_into_a_header():
    chosen = random.Random(7)
    done = page_sets.of(number for number in range(1, 10_001) if chosen.random() < 0.5)
    failed = page_sets.span(1, 10_000) & ~done
    told = Told(done, failed, "running")
    assert len(told.event_id) < 4096
    assert Told.from_id(told.event_id) == told


@given(st.text(max_size=40))
def test_any_id_is_taken_for_something(event_id: str):
    told = Told.from_id(event_id)
    assert told == Told() or Told.from_id(told.event_id) == told


@pytest.mark.parametrize(
    "event_id",
    [
        *("nonsense", ";;;", "1-2;3", "2-1;;running", "1,1;;running", "5,3;;running", "1-9999999;;running"),
        *("0;;running", "01;;running", "-1;;running", "1-;;running", "~!;;running", "~AQ;;running", "~AAAAA;;running"),
        *("1;" * 9000, "~" + "_" * 16_380 + ";;running", "١;;running"),
    ],
)
def test_an_id_that_is_none_tells_everything(event_id: str):
    assert Told.from_id(event_id) == Told()


@given(st.lists(st.tuples(page_set, page_set), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_page_is_told_once_wherever_the_stream_breaks(states, chosen: random.Random):
    """States in which pages finish and, after a retry, are unfinished again; the stream breaks after any event."""
    told = Told()
    known: dict[object, object] = {}
    for done, failed in states:
        now = snapshot(done, failed - done)
        is_now = dict.fromkeys(done, "done") | dict.fromkeys(failed - done, "failed")
        while True:
            found, after = tell(told, now)
            news = [(number, status) for number, status in sorted(is_now.items()) if known.get(number) != status]
            assert pages_of(found) == news
            known = {number: status for number, status in known.items() if is_now.get(number) == status}
            if not found or chosen.random() < 0.6:
                known |= dict(news)
                told = after
                break
            # Cut off after some event: its id is all that is left.
            cut = chosen.randrange(len(found))
            known |= dict(pages_of(found[: cut + 1]))
            told = Told.from_id(found[cut][1])
            if not pages_of(found[cut + 1 :]) and cut == len(found) - 1:
                break


def test_a_new_client_gets_the_document_first_then_pages_then_the_end():
    found, told = tell(Told(), snapshot({1, 2}, {3}, "partial"))
    assert [(name, event_id) for name, event_id, _ in found] == [
        ("document", ";;running"),
        ("page", "1;;running"),
        ("page", "1-2;;running"),
        ("page", "1-2;3;running"),
        ("end", "1-2;3;partial"),
    ]
    assert found[3][2] == {"page_number": 3, "status": "failed", "error": {"code": "corrupt", "message": "x"}}
    assert found[4][2] == {"status": "partial"}
    assert told.knows_end_of(snapshot({1, 2}, {3}, "partial"))


def test_only_the_end_makes_a_client_know_the_end():
    now = snapshot({1}, set(), "completed")
    found, _ = tell(Told(), now)
    assert [Told.from_id(event_id).knows_end_of(now) for _, event_id, _ in found] == [False, False, True]
    assert not Told.from_id("1;;completed").knows_end_of(snapshot({1}, set(), "running"))
    assert not Told.from_id("1;2;partial").knows_end_of(snapshot({1, 2}, set(), "completed"))


def test_later_the_document_follows_its_pages():
    _, told = tell(Told(), snapshot({1}, set()))
    found, told = tell(told, snapshot({1, 2}, set()))
    assert [name for name, _, _ in found] == ["page", "document"]
    assert tell(told, snapshot({1, 2}, set())) == ([], told)


def test_a_page_that_is_read_again_is_told_again():
    _, told = tell(Told(), snapshot({1}, {2}))
    found, told = tell(told, snapshot({1}, set()))
    assert pages_of(found) == []
    found, told = tell(told, snapshot({1}, {2}))
    assert pages_of(found) == [(2, "failed")]
    assert pages_of(tell(told, snapshot({1, 2}, set()))[0]) == [(2, "done")]


def test_a_document_that_is_gone_only_ends():
    found, _ = tell(Told(), Snapshot("deleted"))
    assert [(name, data) for name, _, data in found] == [("end", {"status": "deleted"})]


def test_long_news_come_in_pieces():
    pieces = list(events(Told(), snapshot(set(range(1, 1001)), set())))
    assert len(pieces) == 4
    assert max(len(encoded) for encoded, _ in pieces) < 64 * 1024
