"""Processes for hostile files: whatever happens in one costs one request, with a typed error."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from quire.cli.samples import sample_pdf
from quire.errors import Corrupt, OutOfMemory, PageOutOfRange, PageTimeout, TooLarge
from quire.pages import open_source
from quire.pages.base import PageLimits
from quire_api import rendering
from quire_api.rendering import Renderers, Rendering

LIMITS = PageLimits()


@pytest.fixture(scope="module")
def renderers() -> Iterator[Renderers]:
    """One process, which has two seconds for everything."""
    opened = Renderers(processes=1, seconds=2)
    yield opened
    opened.close()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    time.sleep(60)


def take_memory() -> int:
    return len(bytearray(rendering._MEMORY + 1))


def fail() -> None:
    raise ValueError("the text of a page")


def refuse() -> None:
    raise TooLarge("The page has too many pixels.")


@pytest.mark.parametrize(
    ("work", "error"),
    [(crash, Corrupt), (hang, PageTimeout), (take_memory, OutOfMemory), (fail, Corrupt), (refuse, TooLarge)],
)
def test_what_goes_wrong_costs_one_request(renderers: Renderers, work: object, error: type[Exception]):
    assert callable(work)
    with pytest.raises(error) as raised:
        renderers.run(work)
    assert "the text of a page" not in str(raised.value)
    assert renderers.run(os.getpid) != os.getpid()


def test_a_process_that_ended_while_nobody_used_it_is_replaced(renderers: Renderers):
    """Such as by the system's memory killer: no file is to blame."""
    first = renderers.run(os.getpid)
    os.kill(first, signal.SIGKILL)
    psutil.Process(first).wait(5)
    assert renderers.run(os.getpid) != first


def test_a_process_that_hangs_is_ended(renderers: Renderers):
    first = psutil.Process(renderers.run(os.getpid))
    with pytest.raises(PageTimeout):
        renderers.run(hang)
    assert not first.is_running()


def test_an_interrupt_from_the_terminal_is_for_the_server_alone(renderers: Renderers):
    first = renderers.run(os.getpid)
    os.kill(first, signal.SIGINT)
    assert renderers.run(os.getpid) == first


def test_a_page_is_rendered_as_it_is_read(renderers: Renderers, tmp_path: Path):
    path = tmp_path / "book.pdf"
    path.write_bytes(sample_pdf())
    with open_source(path, LIMITS) as source:
        read = source.image(1, 120)
    own = Image.open(io.BytesIO(renderers.render(Rendering(path, 1, 120, None, LIMITS))))
    assert own.size == (read.width, read.height)
    small = Image.open(io.BytesIO(renderers.render(Rendering(path, 1, 120, 200, LIMITS))))
    assert small.width == 200
    wide = Image.open(io.BytesIO(renderers.render(Rendering(path, 1, 120, 4000, LIMITS))))
    assert wide.size == own.size
    with pytest.raises(PageOutOfRange):
        renderers.render(Rendering(path, 99, 120, None, LIMITS))
