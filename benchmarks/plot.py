"""Scatter plots as SVG: points on a logarithmic x and a linear y axis, numbered, with a key below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final
from xml.etree import ElementTree as ET

_WIDTH: Final = 560
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 50, 60
_RADIUS: Final = 4
_KEY_LINE: Final = 18
# A label's size in an 11-pixel sans-serif face, and how far from its marker its middle may be.
_CHARACTER_WIDTH: Final = 7
_LABEL_HEIGHT: Final = 10
_NEAREST_LABEL, _FARTHEST_LABEL = 10, 60
_STRONG, _WEAK, _INK, _GRID = "#0b62c4", "#7a7a7a", "#222222", "#dddddd"


@dataclass(frozen=True)
class Point:
    """One marker. Points of one `series` are joined by a line and drawn in the strong colour."""

    label: str
    x: float
    y: float
    series: str | None = None


@dataclass(frozen=True)
class Panel:
    """One plot. Every x must be positive."""

    title: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` along pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values in the range: some of each decade if it is logarithmic, else about five of equal distance."""
        return [value for value in self._candidates() if self.low <= value <= self.high]

    def _candidates(self) -> Iterator[float]:
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if self.high > self.low * 10 else (1, 2, 3, 4, 5, 6, 8)
            yield from (step * 10.0**power for power in range(first, last + 1) for step in steps)
            return
        magnitude = 10.0 ** math.floor(math.log10((self.high - self.low) / 5))
        step = next(magnitude * m for m in (1, 2, 5, 10) if magnitude * m * 5 >= self.high - self.low)
        first = math.ceil(self.low / step)
        # Multiples, not sums: a hundred additions of 0.01 are not 1.
        yield from (round(number * step, 10) for number in range(first, math.floor(self.high / step) + 1))


@dataclass
class _Labels:
    """Where markers and labels are already, as (left, top, right, bottom)."""

    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def place(self, text: str, x: float, y: float) -> tuple[float, float]:
        """The middle of a free place for a label near (x, y): the nearest in any of twelve directions."""
        width = len(text) * _CHARACTER_WIDTH
        for distance in range(_NEAREST_LABEL, _FARTHEST_LABEL):
            for turn in range(12):
                # Above first: lines between markers rarely go there.
                angle = math.pi / 2 + turn * math.pi / 6
                middle = x + distance * math.cos(angle), y - distance * math.sin(angle)
                box = _around(*middle, width, _LABEL_HEIGHT)
                if self._free(box):
                    self.taken.append(box)
                    return middle
        return x, y

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        return not any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in self.taken)


def _around(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def draw(panels: Sequence[Panel], *, x_title: str, y_title: str) -> str:
    """An SVG document with the panels side by side; those without points are left out. Numbers are those of the key.

    Raises:
        ValueError: a point's x is not positive.
    """
    drawn = [panel for panel in panels if panel.points]
    width = _WIDTH * max(len(drawn), 1)
    height = _HEIGHT + _KEY_LINE * max((len(panel.points) + 1 for panel in drawn), default=0)
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "font-family": "sans-serif",
            "font-size": "11",
        },
    )
    _add(root, "rect", width=width, height=height, fill="white")
    for index, panel in enumerate(drawn):
        _draw_panel(_add(root, "g", transform=f"translate({index * _WIDTH} 0)"), panel, x_title, y_title)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def axes(points: Sequence[Point]) -> tuple[Axis, Axis]:
    """The x and y axes that hold these points with a margin.

    Raises:
        ValueError: a point's x is not positive.
    """
    xs, ys = [point.x for point in points], [point.y for point in points]
    if min(xs) <= 0:
        raise ValueError("A logarithmic axis takes positive values only.")
    margin = max((max(ys) - min(ys)) * 0.15, 0.005)
    return (
        Axis(min(xs) / 1.5, max(xs) * 1.5, _LEFT, _WIDTH - _RIGHT, logarithmic=True),
        Axis(min(ys) - margin, max(ys) + margin, _HEIGHT - _BOTTOM, _TOP),
    )


def _draw_panel(group: ET.Element, panel: Panel, x_title: str, y_title: str) -> None:
    x, y = axes(panel.points)
    _text(group, panel.title, _LEFT, _TOP - 20, size=13)
    _draw_grid(group, x, y)
    _text(group, x_title, (x.start + x.end) / 2, _HEIGHT - 15, anchor="middle")
    middle = (y.start + y.end) / 2
    _text(group, y_title, 18, middle, anchor="middle", transform=f"rotate(-90 18 {middle:g})")
    _draw_series(group, panel.points, x, y)
    spots = [(x.position(point.x), y.position(point.y)) for point in panel.points]
    labels = _Labels([_around(px, py, 2 * _RADIUS, 2 * _RADIUS) for px, py in spots])
    for number, (point, (px, py)) in enumerate(zip(panel.points, spots, strict=True), 1):
        colour = _STRONG if point.series else _WEAK
        # A browser shows it under the pointer.
        _add(_add(group, "circle", cx=px, cy=py, r=_RADIUS, fill=colour), "title").text = point.label
        text_x, text_y = labels.place(str(number), px, py)
        _text(group, str(number), text_x, text_y + _LABEL_HEIGHT / 2 - 1, anchor="middle")
        line = _HEIGHT + _KEY_LINE * number
        _add(group, "circle", cx=_LEFT + _RADIUS, cy=line - _RADIUS, r=_RADIUS, fill=colour)
        _text(group, f"{number}  {point.label}: {point.x:.3g}, {point.y:.4f}", _LEFT + 4 * _RADIUS, line)


def _draw_grid(group: ET.Element, x: Axis, y: Axis) -> None:
    for value in x.ticks():
        at = x.position(value)
        _add(group, "line", x1=at, x2=at, y1=y.start, y2=y.end, stroke=_GRID)
        _text(group, f"{value:g}", at, y.start + 16, anchor="middle")
    for value in y.ticks():
        at = y.position(value)
        _add(group, "line", x1=x.start, x2=x.end, y1=at, y2=at, stroke=_GRID)
        _text(group, f"{value:g}", x.start - 6, at + 4, anchor="end")


def _draw_series(group: ET.Element, points: Sequence[Point], x: Axis, y: Axis) -> None:
    for series in dict.fromkeys(point.series for point in points if point.series):
        members = sorted((point for point in points if point.series == series), key=lambda point: point.x)
        for one, other in pairwise(members):
            _add(
                group,
                "line",
                x1=x.position(one.x),
                y1=y.position(one.y),
                x2=x.position(other.x),
                y2=y.position(other.y),
                stroke=_STRONG,
            )


def _add(parent: ET.Element, tag: str, **attributes: str | float) -> ET.Element:
    shown = {name: f"{value:.2f}" if isinstance(value, float) else str(value) for name, value in attributes.items()}
    return ET.SubElement(parent, tag, shown)


def _text(
    parent: ET.Element,
    text: str,
    x: float,
    y: float,
    *,
    anchor: str = "start",
    size: int = 11,
    transform: str | None = None,
) -> None:
    more = {"transform": transform} if transform else {}
    element = _add(parent, "text", x=x, y=y, fill=_INK, **more)
    element.set("text-anchor", anchor)
    element.set("font-size", str(size))
    element.text = text
