"""`python -m benchmarks.ceiling`: how far reading a page is from the least time its multiplications can take.

The lean engine reads the receipts on one thread. Multiplications of both networks are counted at the shapes they had,
and divided by the most that the same runtime reaches in one large convolution of one pixel.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT, DataMissing, find_receipts
from ocr.engines.lean import LeanEngine
from ocr.engines.lean.alignment import STEP_PIXELS
from ocr.engines.lean.crops import LINE_HEIGHT
from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import OpenVinoNetwork, Outputs, quantized
from ocr.engines.lean.prepared import prepare
from quire.pages import PageImage, open_source
from quire.settings import get_settings

_DPI: Final = 180
_NETWORKS: Final = ("detection", "recognition", "guard")
# A convolution that keeps the arithmetic units busy and fits the second-level cache.
_PEAK_CHANNELS, _PEAK_PIXELS = 384, 1024
_PEAK_RUNS: Final = 30

Shape = tuple[int, ...]
console = Console(highlight=False)


@dataclass
class Use:
    """One network's inferences: how often at each shape, and the seconds of all."""

    shapes: Counter[Shape] = field(default_factory=Counter)
    seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status is 2 where there is nothing to measure."""
    options = _parse(arguments)
    try:
        receipts = find_receipts(options.receipts)
    except DataMissing as error:
        print(error, file=sys.stderr)
        return 2
    settings = get_settings()
    images = [_image(receipt.image) for receipt in receipts]
    engine = LeanEngine(settings, threads=1)
    uses, seconds = measure(engine, images)
    prepared = prepare(model_files(settings), "latin", "openvino", settings.quire_model_dir, precise=False)
    peaks = {"integers": peak(integers=True), "floats": peak(integers=False)}
    multiplications = {
        "detection": multiplications_of(prepared.detection, uses["detection"].shapes),
        "recognition": multiplications_of(prepared.recognition, uses["recognition"].shapes),
    }
    result = summary(len(images), seconds, uses, multiplications, peaks)
    _show(result)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine_facts(), **result}, indent=2) + "\n", encoding="utf-8")
    console.print(f"Saved to {options.output}", soft_wrap=True)
    return 0


def measure(engine: LeanEngine, images: Sequence[PageImage]) -> tuple[dict[str, Use], float]:
    """Read all pages twice, each alone; what the networks did the second time, and the seconds it took."""
    uses = {name: Use() for name in _NETWORKS}
    original = OpenVinoNetwork.run

    def run(network: OpenVinoNetwork, values: Any) -> Outputs:
        started = time.perf_counter()
        answer = original(network, values)
        use = uses[_name_of(values.shape)]
        use.seconds += time.perf_counter() - started
        use.shapes[values.shape] += 1
        return answer

    for image in images:
        engine.recognize([image], ["en"])
    # One thread does everything, one thing after the other: on several, times would overlap.
    with patch.object(OpenVinoNetwork, "run", run), patch.object(engine, "_executor", ThreadPoolExecutor(1)):
        started = time.perf_counter()
        for image in images:
            engine.recognize([image], ["en"])
        return uses, time.perf_counter() - started


def _name_of(shape: Shape) -> str:
    if len(shape) < 4:
        return "guard"
    return "recognition" if shape[1] == LINE_HEIGHT + 1 else "detection"


def multiplications_of(path: Path, shapes: Counter[Shape]) -> dict[str, float]:
    """Multiplications, in 10⁹, of a network run at these shapes: those in `integers` and those in `floats`.

    Counted are the layers with weights; the few that attention multiplies with one another are not.
    """
    import openvino

    model = openvino.Core().read_model(str(path))
    total = {"integers": 0.0, "floats": 0.0}
    for shape, times in shapes.items():
        model.reshape(list(shape))
        steps = shape[0] * (shape[2] // STEP_PIXELS)
        for layer in model.get_ordered_ops():
            share = "integers" if _is_quantized(layer) else "floats"
            total[share] += times * _multiplications(layer, steps) / 1e9
    return total


def _is_quantized(layer: Any) -> bool:
    return layer.get_input_size() > 1 and all(
        layer.input(index).get_source_output().get_node().get_type_name() == "FakeQuantize" for index in (0, 1)
    )


def _multiplications(layer: Any, steps: int) -> int:
    """One for each element of the output and each that is summed up for it; a matrix is applied to every step."""
    kind = layer.get_type_name()
    if kind == "MatMul":
        weights = layer.input(1).get_partial_shape()
        return steps * int(np.prod(list(weights.to_shape()))) if weights.is_static else 0
    if kind not in ("Convolution", "GroupConvolution"):
        return 0
    weights = list(layer.input(1).get_shape())
    summed = weights[1:] if kind == "Convolution" else weights[2:]
    return int(np.prod(list(layer.output(0).get_shape())) * np.prod(summed))


def peak(*, integers: bool) -> float:
    """The most 10⁹ multiplications a second that OpenVINO reaches on one thread in a convolution of one pixel."""
    import tempfile

    import openvino
    from openvino import opset13

    parameter = opset13.parameter([1, _PEAK_CHANNELS, 1, _PEAK_PIXELS], np.float32, name="values")
    random = np.random.default_rng(1)
    weights = random.normal(0, 0.05, (_PEAK_CHANNELS, _PEAK_CHANNELS, 1, 1)).astype(np.float32)
    values = opset13.relu(parameter)
    names = []
    for _ in range(8):
        values = opset13.convolution(values, opset13.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        names.append(values.get_friendly_name())
    with tempfile.TemporaryDirectory(prefix="quire-bench-") as folder:
        path = Path(folder) / "peak.xml"
        openvino.save_model(openvino.Model([values], [parameter], "peak"), str(path), compress_to_fp16=False)
        if integers:
            ranges = dict.fromkeys(names, (-4.0, 4.0))
            path = Path(folder) / "integers.xml"
            quantized(Path(folder) / "peak.xml", ranges, path)
        config = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        request = openvino.Core().compile_model(str(path), "CPU", config).create_infer_request()
    given = random.normal(0, 1, (1, _PEAK_CHANNELS, 1, _PEAK_PIXELS)).astype(np.float32)
    seconds = []
    for _ in range(_PEAK_RUNS):
        started = time.perf_counter()
        request.infer([given], share_inputs=True)
        seconds.append(time.perf_counter() - started)
    return len(names) * _PEAK_CHANNELS**2 * _PEAK_PIXELS / median(seconds) / 1e9


def summary(
    pages: int,
    seconds: float,
    uses: dict[str, Use],
    multiplications: dict[str, dict[str, float]],
    peaks: dict[str, float],
) -> dict[str, Any]:
    """All figures for one page; times in seconds, multiplications in 10⁹."""
    networks: dict[str, Any] = {}
    at_best = 0.0
    for name, counted in multiplications.items():
        least = sum(counted[kind] / peaks[kind] for kind in peaks) / pages
        spent = uses[name].seconds / pages
        at_best += least
        networks[name] = {
            "inferences": round(uses[name].shapes.total() / pages, 1),
            "multiplications": {kind: round(count / pages, 2) for kind, count in counted.items()},
            "least_seconds": round(least, 4),
            "seconds": round(spent, 4),
            "share_of_peak": round(least / spent, 3),
        }
    spent = sum(use.seconds for use in uses.values())
    return {
        "pages": pages,
        "peak": {kind: round(value, 1) for kind, value in peaks.items()},
        "networks": networks,
        "guard_seconds": round(uses["guard"].seconds / pages, 4),
        "other_seconds": round((seconds - spent) / pages, 4),
        "seconds": round(seconds / pages, 4),
        "least_seconds": round(at_best, 4),
    }


def _show(result: dict[str, Any]) -> None:
    peaks = result["peak"]
    console.print(f"Peak on one thread: {peaks['integers']} in integers, {peaks['floats']} in floats (10⁹/s)")
    table = Table("for one page", "10⁹ multiplications", "least s", "s", "of the peak")
    for name, network in result["networks"].items():
        counted = network["multiplications"]
        table.add_row(
            name,
            f"{counted['integers']} + {counted['floats']} in floats",
            str(network["least_seconds"]),
            str(network["seconds"]),
            f"{network['share_of_peak']:.0%}",
        )
    table.add_row("script guard", "", "", str(result["guard_seconds"]), "")
    table.add_row("everything else", "", "", str(result["other_seconds"]), "")
    table.add_section()
    share = result["least_seconds"] / result["seconds"]
    table.add_row("together", "", str(result["least_seconds"]), str(result["seconds"]), f"{share:.0%}")
    console.print(table)


def _image(path: Path) -> PageImage:
    with open_source(path) as source:
        return source.image(1, _DPI)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=__doc__)
    parser.add_argument("--receipts", type=positive, default=None, metavar="N", help="only the first N")
    default = ROOT / "benchmarks" / "results" / "ceiling.json"
    parser.add_argument("--output", type=Path, default=default, metavar="PATH", help="JSON file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
