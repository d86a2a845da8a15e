"""Less at once where memory does not suffice: fewer pages, then smaller batches of one page. For every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from quire.errors import OutOfMemory
from quire.pages import PageImage

T = TypeVar("T")
R = TypeVar("R")

# What ONNX Runtime, Paddle, CUDA's libraries and OpenCV say, in lower case. They raise no type of their own for it.
_SIGNS: Final = (
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
    "bad allocation",
    "bad_alloc",
    "can't allocate memory",  # torch on the host
    "failed to allocate",
    "out of memory",
    "resource exhausted",
    "resourceexhausted",
    "smaller than requested bytes",  # ONNX Runtime's arena on a GPU with gpu_mem_limit
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on the device or on the host."""
    if isinstance(error, MemoryError | OutOfMemory):
        return True
    text = str(error).lower()
    return isinstance(error, Exception) and any(sign in text for sign in _SIGNS)


def in_halves(images: Sequence[PageImage], read: Callable[[Sequence[PageImage]], list[R]]) -> list[R]:
    """`read(images)`, one result for each; where that is out of memory, its two halves, and so on down to one page.

    Results are in the order of the images. Once a number of pages was too much, no more are read at once than half of
    them. An error of any other kind comes out as it is.

    Raises:
        OutOfMemory: a page that does not fit alone either; the message names it.
    """
    results: list[R] = []
    most = len(images)
    while len(results) < len(images):
        some = images[len(results) : len(results) + most]
        found = _unless_out_of_memory(read, some)
        if found is not None:
            results += found
        elif len(some) == 1:
            raise OutOfMemory(f"Page {some[0].number} needs more memory than there is.")
        else:
            most = (len(some) + 1) // 2
    return results


def at_half_size(size: int, attempt: Callable[[int], list[R]]) -> list[R]:
    """`attempt(size)`; where that is out of memory, at half the size, and so on down to 1.

    Raises:
        OutOfMemory: 1 is too much as well.
    """
    while size >= 1:
        found = _unless_out_of_memory(attempt, size)
        if found is not None:
            return found
        size //= 2
    raise OutOfMemory("The smallest batch needs more memory than there is.")


def _unless_out_of_memory(attempt: Callable[[T], list[R]], argument: T) -> list[R] | None:
    """None if it was out of memory. The traceback, which holds the failed batch's arrays, ends with this call."""
    try:
        return attempt(argument)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
