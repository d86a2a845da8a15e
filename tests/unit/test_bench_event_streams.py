"""What the benchmark of event streams concludes from what came."""

from __future__ import annotations

import pytest

from benchmarks.stream_clients import StreamClient, summarise


def page(number: int) -> bytes:
    return b'event: page\ndata: {"page_number":%d,"status":"done"}\nid: 1;;running\n\n' % number


def client(*chunks: tuple[float, bytes]) -> StreamClient:
    return StreamClient(b"", list(chunks))


def test_delays_are_from_the_commit_to_each_receipt():
    whole = page(1) + b": still here\n\n" + page(2)
    # The second page's event comes in two parts: it is there with the last of them.
    received = summarise([client((10.5, whole)), client((10.25, whole[:-9]), (11.0, whole[-9:]))], {1: 10.0, 2: 10.0})
    assert received.every_page_once
    assert received.delays == [0.5, 0.5, 0.25, 1.0]


@pytest.mark.parametrize("stream", [page(1), page(1) + page(2) + page(2), page(1) + page(3), b""])
def test_a_stream_that_misses_or_repeats_a_page_is_found(stream: bytes):
    complete = client((10.0, page(1) + page(2)))
    assert not summarise([complete, client((10.0, stream))], {1: 10.0, 2: 10.0}).every_page_once
