"""The lean engine's networks against the published ones: the same answers from what is rebuilt, cut and quantised."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from ocr.engines.lean import crops, detection, graphs, loading, recognition, scripts
from ocr.engines.lean.alignment import Steps, decode, text_of
from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import OnnxRuntimeNetwork
from ocr.engines.lean.prepared import prepare
from ocr.engines.models import wheel_models
from quire.errors import EngineUnavailable
from quire.settings import Settings
from tests.pdfs import TEXTS, Pixels, chinese, line_pictures, noisy, written

FILES = model_files(Settings())
Array = npt.NDArray[np.float32]


def session(model: Any) -> Any:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def published(path: Path, image: Array) -> Array:
    """What the network in the wheel says."""
    network = session(str(path))
    (answer,) = network.run(None, {network.get_inputs()[0].name: image})
    return np.asarray(answer, np.float32)


def for_detection(pixels: Pixels) -> Array:
    """A page as PaddleOCR feeds it: BGR, normalised with ImageNet's values, channels first."""
    scaled = (pixels[:, :, ::-1] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def for_recognition(pictures: list[Pixels]) -> Array:
    """Lines as PaddleOCR feeds them: BGR from -1 to 1, channels first, zero on the right."""
    image = np.zeros((len(pictures), 3, 48, recognition.padded_width(max(p.shape[1] for p in pictures))), np.float32)
    for row, picture in enumerate(pictures):
        image[row, :, :, : picture.shape[1]] = (picture[:, :, ::-1].transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return image


def coloured(image: Image.Image) -> Pixels:
    """Red on blue instead of black on white: whoever confuses the channels sees something else."""
    grey = np.asarray(image, np.float32)[:, :, None] / 255
    return (grey * [40, 200, 250] + (1 - grey) * [200, 20, 30]).astype(np.uint8)


def saved(model: Any, path: Path) -> Path:
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def characters() -> list[str]:
    return ["", *graphs.characters_of(onnx.load(str(FILES.recognition))), " "]


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    """Lines of one padded width, 640, one of them in colour."""
    long = [np.hstack([line, line]) for line in line_pictures(6)]
    lines = [np.ascontiguousarray(line[:, : 600 + 8 * number]) for number, line in enumerate(long)]
    lines[0] = coloured(Image.fromarray(lines[0]).convert("L"))
    return lines


@pytest.fixture(scope="module")
def full_answer(pictures: list[Pixels]) -> Array:
    """The published recogniser's probabilities: (lines, steps, classes)."""
    return published(FILES.recognition, for_recognition(pictures))


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def detected(page: Pixels, padding: tuple[float, ...], *, floats: bool = False) -> Array:
    """The rebuilt detector's probabilities for a page with `padding` (RGB) above and on the left."""
    model = graphs.detection_graph(FILES.detection)
    if floats:
        # Takes pixels between whole levels.
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    image = np.empty((1, page.shape[0] + 1, page.shape[1] + 1, 3), np.float32 if floats else np.uint8)
    image[:] = padding
    image[0, 1:, 1:] = page
    (logits,) = session(model.SerializeToString()).run(["logits"], {"image": image})
    return np.asarray(1 / (1 + np.exp(-logits[0, 0])))


@pytest.fixture(scope="module")
def page() -> Pixels:
    image, _ = written(TEXTS[:4], 24, (480, 320), (20, 30))
    return coloured(noisy(image, 1))


@pytest.fixture(scope="module")
def page_probabilities(page: Pixels) -> Array:
    """What the published detector says about the page."""
    found = published(FILES.detection, for_detection(page))[0, 0]
    assert (found > 0.9).mean() > 0.05
    return np.asarray(found)


def test_the_rebuilt_detector_is_the_published_one(page, page_probabilities):
    # PaddleOCR's mean in the order of RGB: what its zeros around the page are in pixels.
    mean = tuple(255 * value for value in (0.406, 0.456, 0.485))
    found = detected(page, mean, floats=True)
    assert found.shape == page_probabilities.shape == (320, 480)
    np.testing.assert_allclose(found, page_probabilities, atol=1e-4)


def test_padding_in_whole_levels_changes_next_to_nothing(page, page_probabilities):
    found = detected(page, detection.PADDING)
    assert np.abs(found - page_probabilities).max() < 0.005
    assert np.abs(found - page_probabilities).mean() < 2e-5


def test_the_detectors_input_begins_with_the_padding():
    page = np.random.default_rng(1).integers(0, 255, (100, 70, 3), np.uint8)
    (image,) = detection.with_padding(page)
    assert (image[0] == detection.PADDING).all()
    assert (image[:, 0] == detection.PADDING).all()
    np.testing.assert_array_equal(image[1:101, 1:71], page)
    assert (image.shape[0] - 1) % 32 == (image.shape[1] - 1) % 32 == 0


def test_the_rebuilt_recogniser_reads_as_the_published_one(pictures, full_answer, characters):
    everything = list(range(len(characters)))
    model, head = graphs.recognition_graph(FILES.recognition, everything, characters.index(" "))
    names = ["best", "score", "space", "features"]
    best, score, space, features = session(model.SerializeToString()).run(
        names, {"image": recognition.line_image(pictures)}
    )
    assert best.shape == full_answer.shape[:2] == (6, 80)
    clear = np.diff(np.partition(full_answer, -2, axis=2)[:, :, -2:], axis=2)[:, :, 0] > 0.05
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(best[clear], full_answer.argmax(axis=2)[clear])
    np.testing.assert_allclose(score, full_answer.max(axis=2), atol=0.03)
    np.testing.assert_allclose(space, full_answer[:, :, -1], atol=0.03)
    np.testing.assert_array_equal((features @ head.weights + head.bias).argmax(axis=2)[clear], best[clear])


@pytest.mark.parametrize("kept", ["latin", "letters and digits"])
def test_the_cut_head_decides_as_the_whole_one_wherever_that_chose_one_of_its_classes(kept, pictures, characters):
    classes = scripts.classes_of("latin", characters)
    if kept != "latin":
        classes = [index for index in classes if characters[index].isalnum() or characters[index] in ("", " ")]
    assert 300 < len(classes) < 1500
    cut, _ = graphs.recognition_graph(FILES.recognition, classes, classes.index(characters.index(" ")))
    whole, _ = graphs.recognition_graph(FILES.recognition, range(len(characters)), characters.index(" "))
    image = {"image": recognition.line_image(pictures)}
    best, score, space = session(cut.SerializeToString()).run(["best", "score", "space"], image)
    all_best, all_score, all_space = session(whole.SerializeToString()).run(["best", "score", "space"], image)
    within = np.isin(all_best, classes)
    assert within.mean() > 0.9
    np.testing.assert_array_equal(np.asarray(classes)[best][within], all_best[within])
    # Fewer classes share the probability, so none gets less.
    assert (score >= all_score - 1e-5)[within].all()
    assert (space >= all_space - 1e-5).all()


def test_a_cut_head_without_a_space_is_built_all_the_same(pictures, characters):
    model, _ = graphs.recognition_graph(FILES.recognition, [0, 5, 9], None)
    (best,) = session(model.SerializeToString()).run(["best"], {"image": recognition.line_image(pictures[:1])})
    assert set(best.ravel()) <= {0, 1, 2}


def test_the_rebuilt_graphs_are_valid_onnx_and_carry_no_unused_weights(characters):
    cut, head = graphs.recognition_graph(FILES.recognition, scripts.classes_of("latin", characters), 1)
    onnx.checker.check_model(cut)
    onnx.checker.check_model(graphs.detection_graph(FILES.detection))
    assert len(cut.SerializeToString()) < FILES.recognition.stat().st_size - head.weights.nbytes * 0.9


def test_the_wheels_recogniser_names_its_characters(characters):
    assert graphs.class_count(FILES.recognition) == len(characters) == 18710
    assert {"A", "z", "0", "€", "é", "中"} <= set(characters)


def small_network(path: Path) -> Path:
    """A valid ONNX file that is neither a detector nor a recogniser."""
    pixels = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [pixels], [answer])
    return saved(helper.make_model(graph), path)


@pytest.mark.parametrize(
    "build",
    [
        graphs.detection_graph,
        lambda path: graphs.recognition_graph(path, [0, 1], None),
        graphs.class_count,
    ],
    ids=["detector", "recogniser", "class count"],
)
def test_a_file_that_is_no_such_network_is_named(build, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    (tmp_path / "truncated.onnx").write_bytes(FILES.detection.read_bytes()[:100_000])
    for path in (tmp_path / "missing.onnx", broken, tmp_path / "truncated.onnx", small_network(tmp_path / "relu.onnx")):
        with pytest.raises(EngineUnavailable, match=path.name):
            build(path)


def test_a_classifier_is_neither_a_detector_nor_a_recogniser():
    classifier = wheel_models() / "ch_ppocr_mobile_v2.0_cls_mobile.onnx"
    with pytest.raises(EngineUnavailable, match=rf"{classifier.name} is not a DB text detector"):
        graphs.detection_graph(classifier)
    with pytest.raises(EngineUnavailable, match=rf"{classifier.name} is not a CTC text recogniser"):
        graphs.recognition_graph(classifier, [0, 1], None)


def test_the_two_networks_of_the_wheel_are_told_apart():
    with pytest.raises(EngineUnavailable, match=r"PP-OCRv6_rec_small.onnx is not a DB text detector"):
        graphs.detection_graph(FILES.recognition)
    with pytest.raises(EngineUnavailable, match=r"PP-OCRv6_det_small.onnx is not a CTC text recogniser"):
        graphs.recognition_graph(FILES.detection, [0, 1], None)


def all_steps(lines: list[Pixels], precise: bool, executor: ThreadPoolExecutor, model_dir: Path) -> list[Steps]:
    loaded = loading.load(Settings(quire_model_dir=model_dir), "latin", 2, precise=precise)
    return recognition.recognize(lines, loaded.recognizer, loaded.characters, executor)


def agreement(ours: list[Steps], others: list[Steps]) -> float:
    """The share of steps at which two networks choose the same class."""
    same = [a.best == b.best for a, b in zip(ours, others, strict=True)]
    return float(np.concatenate(same).mean())


def test_eight_bits_read_as_floats_on_written_lines(model_dir, executor):
    lines = line_pictures(30, seed=3)
    quantised, precise = (all_steps(lines, exact, executor, model_dir) for exact in (False, True))
    assert agreement(quantised, precise) >= 0.97
    texts = [[text_of(decode(steps, 0.15)) for steps in some] for some in (quantised, precise)]
    assert sum(a == b for a, b in zip(*texts, strict=True)) >= 27
    # They are two networks, not one loaded twice.
    assert any((a.score != b.score).any() for a, b in zip(quantised, precise, strict=True))


def test_eight_bits_read_as_floats_on_receipts(model_dir, receipts, executor):
    """The lines of three receipts, cut where the float detector finds them."""
    detector = loading.load(Settings(quire_model_dir=model_dir), "latin", 2, precise=True).detector
    options = detection.DetectionOptions(side=960)
    lines: list[Pixels] = []
    for name in ("000.jpg", "007.jpg", "021.jpg"):
        with Image.open(receipts / "img" / name) as file:
            page = np.asarray(file.convert("RGB"))
        small = detection.shrink(page, options.side)
        answer = detector.run(detection.with_padding(small))["logits"][0, 0]
        logits = np.ascontiguousarray(answer[: small.shape[0], : small.shape[1]])
        found = detection.regions(logits, (page.shape[1], page.shape[0]), options)
        lines += [crops.cut(page, region.quad) for region in found]
    assert len(lines) > 50
    quantised, precise = (all_steps(lines, exact, executor, model_dir) for exact in (False, True))
    assert agreement(quantised, precise) >= 0.97


def test_both_runtimes_read_the_same(model_dir, executor):
    settings = Settings(quire_model_dir=model_dir)
    lines = line_pictures(15, seed=4)
    prepared = prepare(FILES, "latin", "onnxruntime", model_dir, precise=True)
    assert prepared.recognition.suffix == ".onnx"
    _, network = loading._onnxruntime(prepared, 2, settings)
    assert isinstance(network, OnnxRuntimeNetwork)
    names = [prepared.characters[index] for index in prepared.classes]
    by_onnxruntime = recognition.recognize(lines, network, names, executor)
    assert agreement(all_steps(lines, True, executor, model_dir), by_onnxruntime) >= 0.98


def test_drawn_characters_are_what_the_published_recogniser_takes_them_for(characters):
    """The pictures that stand for Chinese in these tests are Chinese to PaddleOCR's own network."""
    image = chinese("中日田王山工土").crop((50, 52, 570, 128))
    image = image.resize((round(image.width * 48 / image.height), 48))
    answer = published(FILES.recognition, for_recognition([np.asarray(image.convert("RGB"))]))[0]
    steps = Steps(answer.argmax(axis=1), answer.max(axis=1), answer[:, -1], answer[:, :1], characters)
    assert text_of(decode(steps, 0.5)) == "中日田王山工土"
