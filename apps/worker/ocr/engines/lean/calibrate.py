"""Which ranges the inputs of the networks' convolutions take: what reading in eight bits needs to know.

`python -m ocr.engines.lean.calibrate OUTPUT FILE…` reads the documents in floats and writes one JSON file for each
network to the folder OUTPUT. `calibrations/` has those of the models in the `rapidocr` wheel. Only the convolutions of
one pixel are in them: they are most of the work, and in eight bits they read the same; the wider ones at the start of
the recogniser cost words.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ocr.engines.lean import crops, detection
from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import OpenVinoNetwork
from ocr.engines.lean.prepared import Prepared, file_digest, prepare
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the documents and write the two files."""
    parser = argparse.ArgumentParser(prog="python -m ocr.engines.lean.calibrate", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("documents", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    settings = get_settings()
    files = model_files(settings)
    prepared = prepare(files, "latin", "openvino", settings.quire_model_dir, precise=True)
    options.output.mkdir(parents=True, exist_ok=True)
    side = PRESETS["balanced"].detection.side
    pages = [detection.with_padding(detection.shrink(page, side)) for page in _pages(options.documents)]
    lines = list(_lines(options.documents, prepared, settings.quire_model_dir))
    for source, network, images in (
        (files.detection, prepared.detection, pages),
        (files.recognition, prepared.recognition, lines),
    ):
        content = {
            "model": source.name,
            "sha256": file_digest(source),
            "images": len(images),
            "ranges": observe(network, images),
        }
        target = options.output / f"{source.stem}.json"
        target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def observe(network: Path, images: Iterable[npt.NDArray[np.uint8]]) -> dict[str, tuple[float, float]]:
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
    found: dict[str, tuple[float, float]] = {}
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


def _pages(documents: Sequence[Path]) -> Iterator[npt.NDArray[np.uint8]]:
    for path in documents:
        with open_source(path) as source:
            for number in range(1, source.page_count + 1):
                yield source.image(number, _DPI).pixels


def _lines(documents: Sequence[Path], prepared: Prepared, model_dir: Path) -> Iterator[npt.NDArray[np.uint8]]:
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
