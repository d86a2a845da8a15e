"""What was measured of a network once, so that it can be read in eight bits: files in `calibrations/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ocr.engines.lean.digest import file_digest
from ocr.engines.lean.hard_swish import HardSwish

Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Calibration:
    """For convolutions, by their names: the smallest and largest input of each (`ranges`), and what may stand for the
    GELU before it (`swishes`).

    The ranges are those of the network with its GELUs; `swish_ranges` are those that hard swishes change.
    """

    ranges: Ranges
    swishes: dict[str, HardSwish] = field(default_factory=dict)
    swish_ranges: Ranges = field(default_factory=dict)

    def without_swishes(self) -> Calibration:
        """For the network as it was published."""
        return Calibration(self.ranges)

    @property
    def ranges_in_use(self) -> Ranges:
        """The ranges with the hard swishes in place."""
        return {**self.ranges, **self.swish_ranges}

    def save(self, source: Path, images: int, folder: Path) -> None:
        """Write it for the network at `source`, measured on so many images."""
        content: dict[str, object] = {
            "model": source.name,
            "sha256": file_digest(source),
            "images": images,
            "ranges": self.ranges,
        }
        if self.swishes:
            content["swish_ranges"] = self.swish_ranges
            content["hard_swishes"] = {name: swish.lists() for name, swish in self.swishes.items()}
        lines = ",\n".join(f" {json.dumps(name)}: {_value(value)}" for name, value in content.items())
        (folder / f"{source.stem}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _value(value: object) -> str:
    """JSON with one line for each convolution."""
    if not isinstance(value, Mapping):
        return json.dumps(value)
    entries = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items())
    return f"{{\n{entries}\n }}"


def calibration_of(source: Path, folder: Path) -> Calibration | None:
    """The calibration of this very network, if the folder has one."""
    digest = file_digest(source)
    for path in sorted(folder.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["sha256"] == digest:
            return Calibration(
                _ranges(stored["ranges"]),
                {name: HardSwish.of_lists(lists) for name, lists in stored.get("hard_swishes", {}).items()},
                _ranges(stored.get("swish_ranges", {})),
            )
    return None


def _ranges(stored: Mapping[str, tuple[float, float]]) -> Ranges:
    return {name: (float(low), float(high)) for name, (low, high) in stored.items()}
