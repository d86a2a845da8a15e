"""Which ranges the inputs of the networks' convolutions take: what reading in eight bits needs to know.

`python -m ocr.engines.lean.calibrate OUTPUT FILE…` reads the documents in floats and writes one JSON file for each
network to the folder OUTPUT. `calibrations/` has those of the models in the `rapidocr` wheel. Only the convolutions of
one pixel are in them: they are most of the work, and in eight bits they read the same; the wider ones at the start of
the recogniser gain next to nothing.

`--hard-swish LAYER…` also fits a hard swish to the GELU before each of these convolutions of the recogniser. Which of
them bear it shows in the words that are read with it: in the small recogniser of PP-OCRv6 the last ones of a stage do
not.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from ocr.engines.lean import crops, detection
from ocr.engines.lean.calibration import Calibration, Ranges
from ocr.engines.lean.detection import Pixels
from ocr.engines.lean.files import model_files
from ocr.engines.lean.graphs import recognition_graph
from ocr.engines.lean.hard_swish import Floats, HardSwish, gelus
from ocr.engines.lean.network import OpenVinoNetwork
from ocr.engines.lean.prepared import Prepared, prepare
from ocr.engines.lean.presets import PRESETS
from ocr.engines.lean.recognition import line_image
from quire.pages import open_source
from quire.settings import get_settings

# Layers with fewer weights gain nothing from eight bits.
_FEWEST_WEIGHTS: Final = 48 * 48
_DPI: Final = 180
_LINES_OF_A_PAGE: Final = 12
# The share of inputs at either end that a range leaves out: rare peaks cost all others their resolution.
_TAIL: Final = 1e-5
# Places of a line's map that activations are fitted to.
_SAMPLES_OF_A_LINE: Final = 200


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the documents and write the two files."""
    parser = argparse.ArgumentParser(prog="python -m ocr.engines.lean.calibrate", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("documents", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--hard-swish", nargs="+", default=[], metavar="LAYER")
    options = parser.parse_args(arguments)
    settings = get_settings()
    files = model_files(settings)
    prepared = prepare(files, "latin", "openvino", settings.quire_model_dir, precise=True)
    known = [each.layer for each in gelus(recognition_graph(files.recognition, prepared.classes, None)[0])]
    if unknown := set(options.hard_swish).difference(known):
        parser.error(f"there is no GELU before {', '.join(sorted(unknown))}, but before {', '.join(known)}")
    options.output.mkdir(parents=True, exist_ok=True)
    side = PRESETS["balanced"].detection.side
    pages = [detection.with_padding(detection.shrink(page, side)) for page in _pages(options.documents)]
    lines = list(_lines(options.documents, prepared, settings.quire_model_dir))
    Calibration(observe(prepared.detection, pages)).save(files.detection, len(pages), options.output)
    calibration = Calibration(observe(prepared.recognition, lines))
    if options.hard_swish:
        calibration = _with_swishes(calibration, files.recognition, prepared, options.hard_swish, lines)
    calibration.save(files.recognition, len(lines), options.output)


def _with_swishes(
    calibration: Calibration, path: Path, prepared: Prepared, layers: Sequence[str], lines: Sequence[Pixels]
) -> Calibration:
    """The calibration with hard swishes in the place of the GELUs before these convolutions."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "recognition.onnx"
        swishes = fit_swishes(lambda chosen: recognition_graph(path, prepared.classes, None, chosen)[0], layers, lines)
        onnx.save(recognition_graph(path, prepared.classes, None, swishes)[0], str(target))
        observed = observe(target, lines)
    return replace(calibration, swishes=swishes, swish_ranges={layer: observed[layer] for layer in layers})


def fit_swishes(
    build: Callable[[dict[str, HardSwish]], Any], layers: Sequence[str], images: Sequence[Pixels]
) -> dict[str, HardSwish]:
    """Hard swishes for the GELUs before these convolutions of the network that `build` makes with some of them.

    From the first layer to the last: each is fitted to what it gets when those before it are hard swishes, and to what
    its GELU gave in the network as it was.
    """
    original = build({})
    wanted = [each for each in gelus(original) if each.layer in layers]
    results = _samples(original, [each.output for each in wanted], images)
    found: dict[str, HardSwish] = {}
    for gelu, result in zip(wanted, results, strict=True):
        (given,) = _samples(build(found), [gelu.input], images)
        found[gelu.layer] = HardSwish.fitted(given, result)
    return found


def _samples(model: Any, names: Sequence[str], images: Sequence[Pixels]) -> list[Floats]:
    """Values (samples, C) of these maps (N, C, H, W) of a network, at places that are the same for maps of one size."""
    import openvino

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    core = openvino.Core()
    network = core.read_model(copy.SerializeToString())
    request = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    found: list[list[Floats]] = [[] for _ in names]
    for number, image in enumerate(images):
        answers = request.infer([image])
        for position in range(len(names)):
            values = answers[position].transpose(0, 2, 3, 1).reshape(-1, answers[position].shape[1])
            chosen = np.random.default_rng(number).integers(0, len(values), _SAMPLES_OF_A_LINE)
            found[position].append(values[chosen])
    return [np.concatenate(some) for some in found]


def observe(network: Path, images: Iterable[Pixels]) -> Ranges:
    """Smallest and largest input of each convolution worth quantising, over these inputs; by its name."""
    import openvino

    core = openvino.Core()
    model = core.read_model(str(network))
    layers = [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution" and _is_worth_it(op)]
    watched: dict[str, Any] = {}
    for layer in layers:
        source = layer.input(0).get_source_output()
        watched.setdefault(f"{source.get_node().get_friendly_name()}.{source.get_index()}", source)
    first = len(model.outputs)
    for source in watched.values():
        model.add_outputs([source])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    limits: dict[str, list[tuple[float, float]]] = {name: [] for name in watched}
    for image in images:
        answers = request.infer({"image": image})
        for position, name in enumerate(watched):
            values = answers[first + position]
            limits[name].append((float(np.quantile(values, _TAIL)), float(np.quantile(values, 1 - _TAIL))))
    found: Ranges = {}
    for layer in layers:
        source = layer.input(0).get_source_output()
        seen = limits[f"{source.get_node().get_friendly_name()}.{source.get_index()}"]
        found[layer.get_friendly_name()] = (
            round(min(low for low, _ in seen), 4),
            round(max(high for _, high in seen), 4),
        )
    return found


def _is_worth_it(layer: Any) -> bool:
    shape = list(layer.input(1).get_shape())
    return shape[2:] == [1, 1] and shape[0] * shape[1] >= _FEWEST_WEIGHTS


def _pages(documents: Sequence[Path]) -> Iterator[Pixels]:
    for path in documents:
        with open_source(path) as source:
            for number in range(1, source.page_count + 1):
                yield source.image(number, _DPI).pixels


def _lines(documents: Sequence[Path], prepared: Prepared, model_dir: Path) -> Iterator[Pixels]:
    """Some lines of each page, as the recogniser is fed."""
    preset = PRESETS["balanced"]
    detector = OpenVinoNetwork(
        prepared.detection, threads=0, streams=1, cache=model_dir / "lean", batch_pixels=1, kept=0
    )
    for page in _pages(documents):
        found = detection.detect(page, detector, preset.detection)
        for region in found[:: max(1, len(found) // _LINES_OF_A_PAGE)]:
            yield line_image([crops.cut(page, region.quad)])


if __name__ == "__main__":
    main()
