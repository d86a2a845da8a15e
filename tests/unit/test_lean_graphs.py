"""The lean engine's networks against the published ones: the same answers from what is rebuilt, cut and quantised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ocr.engines.lean import crops, detection, graphs, heads, loading, recognition, rewrites, scripts
from ocr.engines.lean.alignment import Steps, decode, text_of
from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import Network, OnnxRuntimeNetwork, Runtime, quantized
from ocr.engines.lean.prepared import prepare
from ocr.engines.models import wheel_models
from quire.errors import EngineUnavailable
from quire.settings import Settings
from tests.lines import read_lines
from tests.pdfs import TEXTS, Pixels, chinese, line_pictures, noisy, written

FILES = model_files(Settings())
Array = npt.NDArray[np.float32]
RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnxruntime")
# OpenVINO computes with eight bits of mantissa where the processor can.
TOLERANCES = {"openvino": 0.03, "onnxruntime": 1e-4}
CLOSE = 0.5


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


def loaded(model: Any, runtime: Runtime, folder: Path) -> Network:
    """The graph in one of the runtimes."""
    path = saved(model, folder / "model.onnx")
    if runtime == "openvino":
        return loading._openvino(2, folder / "compiled")(path, True)
    return loading._onnxruntime(2, Settings())(path, True)


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


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cut_head_without_a_space_never_sees_one(runtime, pictures, characters, tmp_path):
    classes = [index for index in scripts.classes_of("latin", characters) if characters[index] != " "]
    model, _ = graphs.recognition_graph(FILES.recognition, classes, None)
    network = loaded(model, runtime, tmp_path)
    names = [characters[index] for index in classes]
    lines = recognition.read(pictures, network, names)
    for steps in lines:
        assert steps.space.shape == steps.best.shape
        assert (steps.space == 0).all()
        assert (steps.score > 0).all()
    texts = [text_of(decode(steps, 0.15)) for steps in lines]
    assert all(len(text) > 15 and " " not in text for text in texts), texts


def random_head(seed: int, classes: int) -> tuple[heads.Head, Array, Array]:
    """A head, features of seven lines of five steps, and the logits of these: some steps clear, some close."""
    random = np.random.default_rng(seed)
    head = heads.Head(
        random.normal(0, 0.5, (120, classes)).astype(np.float32), random.normal(0, 2, classes).astype(np.float32)
    )
    features = random.normal(0, 1, (7, 5, 120)).astype(np.float32)
    return head, features, features @ head.weights + head.bias


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("space", [None, 3, 0], ids=str)
def test_the_uncut_head_alone_decides_as_its_sums_do(space, runtime, tmp_path):
    head, features, logits = random_head(1, 400)
    out = loaded(heads.head_graph(head, space), runtime, tmp_path).run(features)
    exponents = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities = exponents / exponents.sum(axis=2, keepdims=True)
    clear = margin(logits) > CLOSE
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(out["best"][clear], logits.argmax(axis=2)[clear])
    np.testing.assert_allclose(out["score"], probabilities.max(axis=2), atol=TOLERANCES[runtime])
    expected = np.zeros((7, 5)) if space is None else probabilities[:, :, space]
    np.testing.assert_allclose(out["space"], expected, atol=TOLERANCES[runtime] if expected.any() else 0)
    assert out["best"].shape == out["score"].shape == out["space"].shape == (7, 5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_guard_compares_the_largest_sums_inside_and_outside(runtime, tmp_path):
    head, features, logits = random_head(2, 400)
    # Some classes belong to neither; the parts are of unequal size and out of order.
    classes, others = list(range(0, 390, 3)), [399, 2, *range(1, 390, 3)]
    out = loaded(heads.guard_graph(head, classes, others), runtime, tmp_path).run(features.reshape(35, 120))
    inside, outside = (logits.reshape(35, 400)[:, chosen].max(axis=1) for chosen in (classes, others))
    np.testing.assert_allclose(out["inside"], inside, atol=10 * TOLERANCES[runtime])
    np.testing.assert_allclose(out["outside"], outside, atol=10 * TOLERANCES[runtime])
    clear = np.abs(outside - inside) > CLOSE
    assert clear.mean() > 0.5
    np.testing.assert_array_equal((out["outside"] > out["inside"])[clear], (outside > inside)[clear])
    assert 0.2 < (outside > inside).mean() < 0.8


def margin(logits: Array) -> Array:
    """By how much the largest is larger than the next."""
    return np.asarray(np.diff(np.partition(logits, -2, axis=-1)[..., -2:], axis=-1)[..., 0])


def test_the_rebuilt_graphs_are_valid_onnx_and_carry_no_unused_weights(characters):
    classes = scripts.classes_of("latin", characters)
    cut, head = graphs.recognition_graph(FILES.recognition, classes, 1)
    for space in (1, None):
        onnx.checker.check_model(heads.head_graph(head, space))
    onnx.checker.check_model(heads.guard_graph(head, classes, scripts.others_of(classes, characters)))
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


def all_steps(lines: list[Pixels], precise: bool, model_dir: Path) -> list[Steps]:
    loaded = loading.load(Settings(quire_model_dir=model_dir), "latin", 2, precise=precise)
    return read_lines(lines, loaded.recognizer, loaded.characters)


def agreement(ours: list[Steps], others: list[Steps]) -> float:
    """The share of steps at which two networks choose the same class."""
    same = [a.best == b.best for a, b in zip(ours, others, strict=True)]
    return float(np.concatenate(same).mean())


def test_eight_bits_read_as_floats_on_written_lines(model_dir):
    lines = line_pictures(90, seed=3)
    quantised, precise = (all_steps(lines, exact, model_dir) for exact in (False, True))
    assert agreement(quantised, precise) >= 0.97
    texts = [[text_of(decode(steps, 0.15)) for steps in some] for some in (quantised, precise)]
    assert sum(a == b for a, b in zip(*texts, strict=True)) >= 81
    # They are two networks, not one loaded twice.
    assert any((a.score != b.score).any() for a, b in zip(quantised, precise, strict=True))


def test_eight_bits_read_as_floats_on_receipts(model_dir, receipts):
    """The lines of three receipts, cut where the float detector finds them."""
    detector = loading.load(Settings(quire_model_dir=model_dir), "latin", 2, precise=True).detector
    options = detection.DetectionOptions(side=960)
    lines: list[Pixels] = []
    for name in ("000.jpg", "007.jpg", "021.jpg"):
        with Image.open(receipts / "img" / name) as file:
            page = np.asarray(file.convert("RGB"))
        lines += [crops.cut(page, region.quad) for region in detection.detect(page, detector, options)]
    assert len(lines) > 50
    quantised, precise = (all_steps(lines, exact, model_dir) for exact in (False, True))
    assert agreement(quantised, precise) >= 0.97


def test_both_runtimes_read_the_same(model_dir):
    settings = Settings(quire_model_dir=model_dir)
    lines = line_pictures(15, seed=4)
    prepared = prepare(FILES, "latin", "onnxruntime", model_dir, precise=True)
    assert prepared.recognition.suffix == ".onnx"
    loaded = loading.assemble(prepared, loading._onnxruntime(2, settings))
    assert isinstance(loaded.recognizer, OnnxRuntimeNetwork)
    by_onnxruntime = read_lines(lines, loaded.recognizer, loaded.characters)
    assert agreement(all_steps(lines, True, model_dir), by_onnxruntime) >= 0.98


def test_drawn_characters_are_what_the_published_recogniser_takes_them_for(characters):
    """The pictures that stand for Chinese in these tests are Chinese to PaddleOCR's own network."""
    image = chinese("中日田王山工土").crop((50, 52, 570, 128))
    image = image.resize((round(image.width * 48 / image.height), 48))
    answer = published(FILES.recognition, for_recognition([np.asarray(image.convert("RGB"))]))[0]
    steps = Steps(answer.argmax(axis=1), answer.max(axis=1), answer[:, -1], answer[:, :1], characters)
    assert text_of(decode(steps, 0.5)) == "中日田王山工土"


SHARED = {"shared", "shared too", "shared by name", "together", "together too"}


def branching(folder: Path) -> tuple[Path, dict[str, tuple[float, float]], Any]:
    """Convolutions of 1×1, each named after what its input is: the network, the ranges of their inputs, a session.

    `x` → relu → "shared", "shared too"; "shared" → relu → "own"; "own" → identity → "renamed"; "shared too" → relu →
    identity → "shared by name", and the relu is an output as well; "shared by name" → "unquantised" → relu → identity
    → "together" and "together too".
    """
    random = np.random.default_rng(3)
    pixels = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 6, 6])
    answers = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 6, 6])
        for name in ("renamed", "b", "unquantised", "together", "together too")
    ]
    nodes, weights = [], []
    for name, source in (
        ("shared", "a"), ("shared too", "a"), ("own", "c"), ("renamed", "own, again"), ("shared by name", "b, again"),
        ("unquantised", "shared by name"), ("together", "d, again"), ("together too", "d, again"),
    ):  # fmt: skip
        values = random.normal(0, 0.4, (8, 8, 1, 1)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"{name} weights"))
        nodes.append(helper.make_node("Conv", [source, f"{name} weights"], [name], name, kernel_shape=[1, 1]))
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        *nodes[:2],
        helper.make_node("Relu", ["shared"], ["c"]),
        nodes[2],
        helper.make_node("Identity", ["own"], ["own, again"]),
        nodes[3],
        helper.make_node("Relu", ["shared too"], ["b"]),
        helper.make_node("Identity", ["b"], ["b, again"]),
        *nodes[4:6],
        helper.make_node("Relu", ["unquantised"], ["d"]),
        helper.make_node("Identity", ["d"], ["d, again"]),
        *nodes[6:],
    ]
    graph = helper.make_graph(nodes, "g", [pixels], answers, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    # As graphs are when they come to be quantised.
    rewrites.without_identities(model)
    ranges = dict.fromkeys((*SHARED, "own"), (0.0, 4.0)) | {"renamed": (-4.0, 4.0)}
    return saved(model, folder / "branching.onnx"), ranges, session(model.SerializeToString())


def test_a_quantised_input_that_others_use_as_well_is_limited_first(tmp_path):
    source, ranges, _ = branching(tmp_path)
    quantized(source, ranges, tmp_path / "branching.xml")
    model = openvino.Core().read_model(str(tmp_path / "branching.xml"))
    found = {
        node.get_friendly_name(): [before(node), before(before(node))]
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution"
    }
    kinds = {name: [node.get_type_name() for node in chain] for name, chain in found.items()}
    assert kinds.pop("unquantised")[0] == "Convolution"
    assert {name for name, chain in kinds.items() if chain == ["FakeQuantize", "Minimum"]} == SHARED
    assert {name: chain[0] for name, chain in kinds.items()} == dict.fromkeys(ranges, "FakeQuantize")
    for name in SHARED:
        # At the end of the range: what is above it would be cut off by the quantisation.
        limit = found[name][1].input(1).get_source_output().get_node()
        assert limit.data.item() == pytest.approx(ranges[name][1])


def before(node: Any) -> Any:
    """The layer that makes a layer's input."""
    return node.input(0).get_source_output().get_node()


def test_a_quantised_network_computes_what_it_did(tmp_path):
    source, ranges, network = branching(tmp_path)
    quantized(source, ranges, tmp_path / "branching.xml")
    values = np.random.default_rng(4).normal(0, 1, (1, 8, 6, 6)).astype(np.float32)
    compiled = openvino.Core().compile_model(
        str(tmp_path / "branching.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = compiled([values])
    for name in ("renamed", "b", "unquantised", "together"):
        (expected,) = network.run([name], {"x": values})
        error = np.abs(found[compiled.output(name)] - expected)
        assert 0 < error.mean() < 0.05 * np.abs(expected).mean(), name
