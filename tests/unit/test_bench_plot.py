"""The plot of `python -m benchmarks.peers`."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plot import Axis, Panel, Point, axes, draw

SVG = "{http://www.w3.org/2000/svg}"
POINTS = (Point("slow", 1, 0.90), Point("middle", 2, 0.95, "ours"), Point("fast", 4, 0.94, "ours"))


def drawn(*panels: Panel) -> ET.Element:
    return ET.fromstring(draw(panels, x_title="speed", y_title="accuracy"))


def markers(root: ET.Element) -> dict[str, tuple[float, float]]:
    """The position of each marker in its panel, by label."""
    return {
        circle.findtext(f"{SVG}title", ""): (float(circle.get("cx", 0)), float(circle.get("cy", 0)))
        for circle in root.iter(f"{SVG}circle")
        if circle.find(f"{SVG}title") is not None
    }


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_equal_ratios_of_speed_are_equal_distances_to_the_right():
    found = markers(drawn(Panel("", POINTS)))
    xs = [found[name][0] for name in ("slow", "middle", "fast")]
    first, second = (later - earlier for earlier, later in pairwise(xs))
    assert first > 0
    assert first == pytest.approx(second, abs=0.02)


def test_more_accurate_is_higher_and_distances_are_in_proportion():
    found = markers(drawn(Panel("", POINTS)))
    slow, middle, fast = (found[name][1] for name in ("slow", "middle", "fast"))
    assert middle < fast < slow
    assert (slow - fast) / (slow - middle) == pytest.approx(0.8, abs=0.001)


def test_markers_lie_within_their_axes():
    x, y = axes(POINTS)
    found = markers(drawn(Panel("", POINTS)))
    assert len(found) == len(POINTS)
    for cx, cy in found.values():
        assert x.start < cx < x.end
        assert y.end < cy < y.start


def test_key_has_every_number_label_and_value():
    found = texts(drawn(Panel("", POINTS)))
    assert {"1  slow: 1, 0.9000", "2  middle: 2, 0.9500", "3  fast: 4, 0.9400"} <= set(found)
    assert {"1", "2", "3"} <= set(found)


def test_points_of_a_series_are_joined_in_order_of_speed():
    shuffled = (
        Point("c", 4, 0.94, "ours"),
        Point("a", 1, 0.9, "ours"),
        Point("alone", 3, 0.91),
        Point("b", 2, 0.95, "ours"),
    )
    root = drawn(Panel("", shuffled))
    found = markers(root)
    lines = [
        tuple(float(line.get(name, 0)) for name in ("x1", "y1", "x2", "y2"))
        for line in root.iter(f"{SVG}line")
        if line.get("stroke") == "#0b62c4"
    ]
    assert lines == [(*found["a"], *found["b"]), (*found["b"], *found["c"])]


def test_panels_stand_side_by_side_and_empty_ones_are_left_out():
    root = drawn(Panel("one", POINTS), Panel("none", ()), Panel("two", POINTS[:1]))
    groups = list(root.iter(f"{SVG}g"))
    assert [group.get("transform") for group in groups] == ["translate(0 0)", "translate(560 0)"]
    assert root.get("width") == "1120"
    assert "none" not in texts(root)


def test_nothing_to_draw_is_an_empty_picture():
    assert list(drawn().iter(f"{SVG}circle")) == []


def test_text_may_have_any_character():
    assert "1  A & <B>: 1, 0.5000" in texts(drawn(Panel('"&<', (Point("A & <B>", 1, 0.5),))))


def test_numbers_of_close_points_do_not_cover_each_other():
    close = tuple(Point(f"p{n}", 1 + n / 1000, 0.9) for n in range(8))
    root = drawn(Panel("", close))
    numbers = {str(n) for n in range(1, 9)}
    places = [
        (float(element.get("x", 0)), float(element.get("y", 0)))
        for element in root.iter(f"{SVG}text")
        if element.text in numbers and element.get("text-anchor") == "middle"
    ]
    # Ticks carry such numbers as well; they lie below the plot.
    places = [place for place in places if place[1] < 370]
    assert len(places) == 8
    for index, (x, y) in enumerate(places):
        for other_x, other_y in places[index + 1 :]:
            assert abs(x - other_x) >= 7 or abs(y - other_y) >= 10 - 0.02


def test_a_logarithmic_axis_takes_no_zero():
    with pytest.raises(ValueError, match="positive"):
        drawn(Panel("", (Point("never ends", 0, 0.9),)))


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.3, 20, 0, 1, logarithmic=True), [0.5, 1, 2, 5, 10, 20]),
        (Axis(0.9, 2.1, 0, 1, logarithmic=True), [1, 2]),
        (Axis(0.92, 0.96, 0, 1), [0.92, 0.93, 0.94, 0.95, 0.96]),
        (Axis(0, 1, 0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round_and_within_the_axis(axis: Axis, ticks: list[float]):
    assert axis.ticks() == pytest.approx(ticks)
