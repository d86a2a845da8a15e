"""Halving: what is read, in which order, in how many attempts, and which page gets the blame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr.engines.halving import at_half_size, in_halves, is_out_of_memory
from quire.errors import EngineUnavailable, OutOfMemory
from quire.pages import PageImage


def pages(count: int) -> list[PageImage]:
    return [PageImage(number, np.zeros((4, 4, 3), np.uint8)) for number in range(1, count + 1)]


class Device:
    """Reads page numbers, and has memory for so many pages at once; `attempts` are the sizes it was asked for."""

    def __init__(self, room: int, error: BaseException | None = None) -> None:
        self.room = room
        self.error = error or MemoryError()
        self.attempts: list[int] = []

    def read(self, images: Sequence[PageImage]) -> list[int]:
        self.attempts.append(len(images))
        if len(images) > self.room:
            raise self.error
        return [image.number for image in images]


@given(st.integers(0, 40), st.integers(1, 50))
def test_every_page_is_read_once_and_in_order(count: int, room: int):
    assert in_halves(pages(count), Device(room).read) == list(range(1, count + 1))


@given(st.integers(1, 40), st.integers(1, 50))
def test_a_size_that_was_too_much_is_not_tried_again(count: int, room: int):
    device = Device(room)
    in_halves(pages(count), device.read)
    failed = [size for size in device.attempts if size > room]
    assert failed == sorted(set(failed), reverse=True)
    assert len(failed) <= count.bit_length()


def test_what_fits_is_read_at_once():
    device = Device(8)
    in_halves(pages(8), device.read)
    assert device.attempts == [8]


def test_what_does_not_fit_is_halved_until_it_does():
    device = Device(3)
    in_halves(pages(8), device.read)
    assert device.attempts == [8, 4, 2, 2, 2, 2]


def test_no_pages_are_not_read():
    device = Device(1)
    assert in_halves([], device.read) == []
    assert device.attempts == []


def test_a_page_that_does_not_fit_alone_is_named():
    def read(images: Sequence[PageImage]) -> list[int]:
        if any(image.number == 3 for image in images):
            raise MemoryError
        return [image.number for image in images]

    with pytest.raises(OutOfMemory, match="Page 3 needs more memory"):
        in_halves(pages(4), read)


@pytest.mark.parametrize("error", [ValueError("no"), EngineUnavailable("no"), KeyboardInterrupt()])
def test_another_error_comes_out_as_it_is_and_at_once(error: BaseException):
    device = Device(0, error)
    with pytest.raises(type(error)) as raised:
        in_halves(pages(4), device.read)
    assert raised.value is error
    assert device.attempts == [4]


@given(st.integers(1, 256), st.integers(1, 256))
def test_a_batch_is_halved_until_it_fits(size: int, room: int):
    sizes: list[int] = []

    def attempt(some: int) -> list[int]:
        sizes.append(some)
        if some > room:
            raise MemoryError
        return [some]

    (used,) = at_half_size(size, attempt)
    assert used <= room
    assert sizes == [size >> step for step in range(len(sizes))]
    assert all(tried > room for tried in sizes[:-1])


def test_a_batch_of_one_that_does_not_fit_is_out_of_memory():
    def attempt(_: int) -> list[int]:
        raise MemoryError

    with pytest.raises(OutOfMemory):
        at_half_size(8, attempt)


def test_an_empty_result_is_a_result():
    assert at_half_size(4, lambda _: []) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("Page 1 needs more memory than there is."),
        RuntimeError("ResourceExhaustedError: \n\nOut of memory error on GPU 0. Cannot allocate 1.3GB memory"),
        RuntimeError(
            "[ONNXRuntimeError] : 1 : FAIL : BFCArena Failed to allocate memory for requested buffer of size 9"
        ),
        RuntimeError("BFCArena::AllocateRawInternal Available memory of 5 is smaller than requested bytes of 9"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
        RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0"),
    ],
    ids=lambda error: str(error)[:40] or type(error).__name__,
)
def test_what_the_runtimes_say_is_understood(error: Exception):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("shape (1, 3) does not fit (3, 1)"), KeyboardInterrupt("out of memory")])
def test_other_errors_are_not_out_of_memory(error: BaseException):
    assert not is_out_of_memory(error)
