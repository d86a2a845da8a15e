"""The engine's settings by name: how much time to spend for how many more words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from ocr.engines.lean.detection import DetectionOptions

PresetName = Literal["fast", "balanced", "accurate"]


@dataclass(frozen=True)
class Preset:
    """`second_look`: lines of less confidence are read again in another frame. `space`: see `alignment.decode`.

    `precise`: the networks in floats, not in eight-bit integers.
    """

    detection: DetectionOptions = field(default_factory=DetectionOptions)
    second_look: float = 0.95
    space: float = 0.15
    precise: bool = False


PRESETS: Final[dict[PresetName, Preset]] = {
    "fast": Preset(DetectionOptions(side=960), second_look=0.0),
    "balanced": Preset(DetectionOptions(side=1024)),
    "accurate": Preset(DetectionOptions(side=1408), second_look=1.0, precise=True),
}
