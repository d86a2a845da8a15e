"""Which systems there are, what they are called, and how each is set up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.systems.base import System

# Ratios are against this one.
REFERENCE: Final = "paddleocr"
# How many pages Quire is given at once, where it is given several.
IN_FLIGHT: Final = 8
PRESETS: Final = ("fast", "balanced", "accurate")
# How Quire is given pages: one, several at once, or one to each of a worker's processes.
QUIRE_WAYS: Final = {
    "1": "one page at a time",
    str(IN_FLIGHT): f"{IN_FLIGHT} in flight",
    "processes": "a process for each core",
}


@dataclass(frozen=True)
class Entry:
    """One system as it is started and shown.

    `arguments` are those of `load`, `environment` is added to the child's, and systems of one `series` differ only in
    how they trade speed for accuracy.
    """

    title: str
    setup: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    series: str | None = None


_PEERS: Final = {
    "paddleocr": Entry(
        "PaddleOCR defaults",
        "PaddleOCR(engine='onnxruntime', device='cpu') with the bundled PP-OCRv6 small models, page orientation, "
        "unwarping and line orientation off; lines with a score of 0.5 or more",
        ("paddleocr",),
    ),
    "rapidocr": Entry("RapidOCR defaults, ONNX Runtime", "RapidOCR(); its own text_score of 0.5", ("rapidocr",)),
    "rapidocr-openvino": Entry(
        "RapidOCR defaults, OpenVINO",
        "RapidOCR() with engine_type openvino for its three models",
        ("rapidocr-openvino",),
    ),
    "tesseract": Entry("Tesseract --psm 6", "tesseract FILE stdout --psm 6, a process for each page", ("tesseract",)),
}
NAMES: Final = ("quire", *_PEERS)


def entries(names: Sequence[str], presets: Sequence[str] = ("balanced",)) -> dict[str, Entry]:
    """The systems of these names by key; `quire` is three for each preset.

    Raises:
        KeyError: there is no system of that name.
    """
    found: dict[str, Entry] = {}
    for name in names:
        if name == "quire":
            found |= {f"quire-{preset}-{way}": quire_entry(preset, way) for preset in presets for way in QUIRE_WAYS}
        else:
            found[name] = _PEERS[name]
    return found


def quire_entry(preset: str, way: str) -> Entry:
    """Quire with a preset, reading pages in one of `QUIRE_WAYS`, or as many at once as `way` says."""
    words = QUIRE_WAYS.get(way, f"{way} in flight")
    return Entry(
        f"Quire {preset} ({words})",
        f"QUIRE_OCR_PRESET={preset}, otherwise Quire's defaults; {words}",
        ("quire-processes",) if way == "processes" else ("quire", way),
        {"QUIRE_OCR_PRESET": preset},
        series=f"Quire ({words})",
    )


def load(kind: str, *arguments: str) -> System:
    """Load a system in this process; `kind` and `arguments` are an entry's.

    Raises:
        Absent: it is not on this machine.
    """
    match kind:
        case "quire":
            from benchmarks.systems.quire_engine import QuireSystem

            return QuireSystem(int(*arguments))
        case "quire-processes":
            from benchmarks.systems.quire_processes import QuireProcesses

            return QuireProcesses()
        case "paddleocr":
            from benchmarks.systems.paddle_defaults import PaddleDefaults

            return PaddleDefaults()
        case "rapidocr" | "rapidocr-openvino":
            from benchmarks.systems.rapid import Rapid

            return Rapid("openvino" if kind == "rapidocr-openvino" else "onnxruntime")
        case "tesseract":
            from benchmarks.systems.tesseract import Tesseract

            return Tesseract()
    raise ValueError(f"There is no system {kind!r}.")
