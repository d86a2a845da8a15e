"""The lean engine reads a line the same whatever is read with it, on any number of threads; its shapes are few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocr.engines.lean import LeanEngine, loading, recognition
from ocr.engines.lean.alignment import Steps
from ocr.engines.lean.files import model_files
from ocr.engines.lean.loading import Loaded
from ocr.engines.lean.network import Network, Outputs, Runtime
from ocr.engines.lean.prepared import prepare
from quire.cli.samples import sample_photo
from quire.pages import PageImage, open_source
from quire.settings import Settings
from tests.lines import read_lines
from tests.pdfs import TEXTS, Pixels, line_pictures, noisy, page_of, written

RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime")
THREADS = (1, 2)
WIDTHS = st.integers(1, 3200)


@pytest.fixture(scope="module")
def loaded(model_dir: Path) -> dict[tuple[Runtime, int], Loaded]:
    """The networks in each runtime and on each number of threads."""
    settings = Settings(quire_model_dir=model_dir)
    found: dict[tuple[Runtime, int], Loaded] = {}
    for threads in THREADS:
        found["openvino", threads] = loading.load(settings, "latin", threads, precise=False)
        prepared = prepare(model_files(settings), "latin", "onnxruntime", model_dir, precise=False)
        found["onnxruntime", threads] = loading.assemble(prepared, loading._onnxruntime(threads, settings))
    return found


@pytest.fixture(scope="module")
def engines(loaded: dict[tuple[Runtime, int], Loaded], model_dir: Path) -> dict[tuple[Runtime, int], LeanEngine]:
    found = {}
    for (runtime, threads), networks in loaded.items():
        engine = LeanEngine(Settings(quire_model_dir=model_dir), threads)
        engine._loaded["latin"] = networks
        found[runtime, threads] = engine
    return found


class Recorded:
    """A network that remembers the shapes it was given; `batch_pixels` may be another."""

    def __init__(self, network: Network, batch_pixels: int | None = None) -> None:
        self._network = network
        self.batch_pixels = batch_pixels or network.batch_pixels
        self.shapes: list[tuple[int, ...]] = []

    def run(self, image: Pixels) -> Outputs:
        self.shapes.append(image.shape)
        return self._network.run(image)


def lines_of_one_width(count: int, width: int) -> list[Pixels]:
    """Different lines that are all filled up to `width`."""
    pictures = [np.hstack([line, line[:, ::-1], line]) for line in line_pictures(count, seed=width)]
    return [np.ascontiguousarray(line[:, : width - number % 8]) for number, line in enumerate(pictures)]


def same(ours: Steps, other: Steps) -> bool:
    """Bit for bit."""
    return all(
        getattr(ours, name).tobytes() == getattr(other, name).tobytes()
        for name in ("best", "score", "space", "features")
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("width", [160, 320, 640], ids=str)
def test_a_line_is_read_the_same_in_every_batch_on_any_number_of_threads(runtime, width, loaded):
    lines = lines_of_one_width(15, width)
    alone = [steps for line in lines for steps in read_lines([line], loaded[runtime, 1].recognizer)]
    assert len({steps.features.tobytes() for steps in alone}) == len(lines)
    orders = [[(7 * number + count) % 15 for number in range(count)] for count in (15, 10, 7, 4)]
    for threads in THREADS:
        # Enough that one batch takes twelve of them.
        network = Recorded(loaded[runtime, threads].recognizer, 12 * width)
        for order in orders:
            together = read_lines([lines[index] for index in order], network)
            assert all(same(steps, alone[index]) for index, steps in zip(order, together, strict=True))
        assert sorted(shape[0] for shape in network.shapes) == [1, 2, 3, 4, 6, 8, 12]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_line_among_lines_of_other_widths_is_read_as_alone(runtime, loaded):
    lines = line_pictures(12, seed=9)
    network = loaded[runtime, 2].recognizer
    together = read_lines(lines, network)
    for line, steps in zip(lines, together, strict=True):
        assert same(steps, read_lines([line], network)[0])
        assert len(steps.best) == recognition.padded_width(line.shape[1]) // 8


def pages(folder: Path) -> list[PageImage]:
    """A photo, two written pages, one of them turned, and a blank one."""
    (folder / "photo.jpg").write_bytes(sample_photo())
    with open_source(folder / "photo.jpg") as source:
        photo = source.image(1, 180)
    first = noisy(written(TEXTS[:4], 24, (420, 240))[0], 1)
    turned = noisy(written(TEXTS[4:8], 20, (400, 200))[0].rotate(90, expand=True), 2)
    return [photo, page_of(first), page_of(turned), page_of(np.full((200, 300, 3), 255, np.uint8))]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_page_is_read_the_same_among_others_on_any_number_of_threads(runtime, engines, tmp_path):
    images = pages(tmp_path)
    alone = [engines[runtime, 1].recognize([image], ["en"])[0] for image in images]
    assert [len(lines) for lines in alone[1:]] == [4, 4, 0]
    assert all(line.words for lines in alone for line in lines)
    assert engines[runtime, 1].recognize(images, ["en"]) == alone
    assert engines[runtime, 2].recognize(images[::-1], ["en"]) == alone[::-1]


def test_receipts_are_read_the_same_together(engines, receipts):
    images = []
    for name in ("003.jpg", "011.jpg", "024.jpg", "038.jpg"):
        with open_source(receipts / "img" / name) as source:
            images.append(PageImage(1, np.ascontiguousarray(source.image(1, 180).pixels[:350])))
    engine = engines["openvino", 2]
    together = engine.recognize(images, ["en"])
    assert together == [engine.recognize([image], ["en"])[0] for image in images]
    assert sum(len(lines) for lines in together) > 12


def test_no_pages_have_no_lines(engines):
    assert engines["openvino", 2].recognize([], ["en"]) == []


def test_the_padded_width_never_falls_and_there_are_few_of_them():
    widths = [recognition.padded_width(width) for width in range(1, 3201)]
    assert widths == sorted(widths)
    assert len(set(widths)) <= 28
    assert all(width % 32 == 0 for width in widths)


@given(WIDTHS)
def test_a_line_is_filled_up_by_little(width):
    padded = recognition.padded_width(width)
    assert padded >= width
    assert padded - width < 32 or width > 320
    assert padded - width < max(32, 0.5 * width)
    # What is filled up already stays as it is.
    assert recognition.padded_width(padded) == padded


@given(st.lists(WIDTHS, max_size=60), st.integers(1, 20_000))
def test_batches_hold_each_line_once_within_the_limit_and_the_largest_come_first(widths, batch_pixels):
    batches = recognition.batches(widths, batch_pixels)
    assert sorted(index for batch in batches for index in batch) == list(range(len(widths)))
    sizes: list[int] = []
    for batch in batches:
        (width,) = {recognition.padded_width(widths[index]) for index in batch}
        assert len(batch) in {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}
        assert len(batch) == 1 or len(batch) * width <= batch_pixels
        sizes.append(len(batch) * width)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("count", "limit", "sizes"),
    [
        (7, 4 * 320, [4, 3]),
        (7, 4 * 320 - 1, [3, 3, 1]),
        (11, 6 * 320, [6, 4, 1]),
        (11, 1, [1] * 11),
        (127, 100_000, [64, 48, 12, 3]),
        (31, 100_000, [24, 6, 1]),
    ],
)
def test_a_batch_is_as_large_as_its_limit_allows(count, limit, sizes):
    assert [len(batch) for batch in recognition.batches([320] * count, limit)] == sizes


def test_a_longer_batch_comes_before_a_fuller_one():
    widths = [32, 32, 32, 640, 64]
    assert recognition.batches(widths, 1280) == [[3], [0, 1, 2], [4]]


@pytest.mark.parametrize(("batch_pixels", "most"), [(1280, 80), (6144, 160), (65_536, 280)])
def test_the_shapes_of_a_long_document_are_few(batch_pixels, most):
    network = Recorded(Instant(), batch_pixels)
    random = np.random.default_rng(5)
    for _ in range(50):
        widths: Sequence[int] = random.integers(20, 3200, random.integers(1, 60)).tolist()
        read_lines([np.zeros((48, width, 3), np.uint8) for width in widths], network)
    assert len({shape[2] for shape in network.shapes}) <= 28
    assert len(set(network.shapes)) <= most


class Instant:
    """A network that answers nothing, in no time."""

    batch_pixels = 1280

    def run(self, image: Pixels) -> Outputs:
        steps = np.zeros((image.shape[0], image.shape[2] // 8))
        return {"best": steps, "score": steps, "space": steps, "features": steps[:, :, None]}


def test_a_lines_picture_lies_in_grey():
    short, long = np.zeros((48, 10, 3), np.uint8), np.zeros((48, 60, 3), np.uint8)
    image = recognition.line_image([short, long])
    assert image.shape == (2, 49, 65, 3)
    assert (image[0, 1:, 1:11] == 0).all()
    assert (image[1, 1:, 1:61] == 0).all()
    assert (image[:, 0] == 128).all()
    assert (image[:, :, 0] == 128).all()
    assert (image[0, :, 11:] == 128).all()
    assert (image[1, :, 61:] == 128).all()
