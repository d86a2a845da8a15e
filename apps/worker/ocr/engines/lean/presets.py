"""The engine's settings by name: how much time to spend for how many more words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from ocr.engines.lean.detection import DetectionOptions

PresetName = Literal["fast", "balanced", "accurate"]


@dataclass(frozen=True)
class Preset:
    """`space`: see `alignment.decode`. `precise`: the recogniser in floats, not in eight-bit integers."""

    detection: DetectionOptions = field(default_factory=DetectionOptions)
    space: float = 0.15
    precise: bool = False


PRESETS: Final[dict[PresetName, Preset]] = {
    "fast": Preset(DetectionOptions(side=960)),
    "balanced": Preset(DetectionOptions(side=1152)),
    "accurate": Preset(DetectionOptions(side=1280), precise=True),
}
