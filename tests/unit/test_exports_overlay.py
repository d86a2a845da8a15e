"""A page with its detections drawn over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quire.contracts import Detection
from quire.exports.overlay import draw_overlay, save_overlay
from quire.pages import PageImage

PAGE = PageImage(1, np.full((100, 200, 3), 255, np.uint8))


def detection(confidence: float, box=((20.0, 30.0), (120.0, 30.0), (120.0, 60.0), (20.0, 60.0))) -> Detection:
    return Detection(text="a", box=box, confidence=confidence, page_number=1)


def drawn(*detections: Detection) -> np.ndarray:
    return np.asarray(draw_overlay(PAGE, detections)).astype(int)


def test_the_overlay_has_the_size_of_the_page():
    overlay = draw_overlay(PAGE, [detection(1)])
    assert (overlay.size, overlay.mode) == ((200, 100), "RGB")


def test_a_page_without_detections_is_itself():
    assert np.array_equal(drawn(), PAGE.pixels)


def test_the_page_itself_is_not_drawn_on():
    draw_overlay(PAGE, [detection(1)])
    assert PAGE.pixels.min() == 255


def test_a_detection_is_outlined_at_its_box_and_nowhere_else():
    pixels = drawn(detection(1))
    assert pixels[30, 70].max() < 200
    assert pixels[60, 70].max() < 200
    assert pixels[45, 20].max() < 200
    assert pixels[45, 120].max() < 200
    pixels[27:64, 17:124] = 255
    assert pixels.min() == 255


def test_what_was_read_stays_legible_within_its_box():
    assert drawn(detection(1))[45, 70].min() > 180


@pytest.mark.parametrize(
    ("confidence", "strongest"),
    [(1.0, "green"), (0.9, "green"), (0.89, "yellow"), (0.7, "yellow"), (0.69, "red"), (0.0, "red")],
)
def test_the_colour_says_how_sure_the_reading_is(confidence, strongest):
    red, green, _ = drawn(detection(confidence))[30, 70]
    ratio = "green" if green > red else "yellow" if green > red / 2 else "red"
    assert ratio == strongest


def test_a_turned_box_is_drawn_turned():
    pixels = drawn(detection(1, ((100.0, 10.0), (140.0, 50.0), (100.0, 90.0), (60.0, 50.0))))
    assert pixels[12, 62].min() == 255
    assert pixels[50, 100].tolist() != [255, 255, 255]


def test_a_box_that_reaches_off_the_page_is_cut():
    pixels = drawn(detection(1, ((-50.0, -50.0), (500.0, -50.0), (500.0, 50.0), (-50.0, 50.0))))
    assert pixels[50, 100].max() < 200


def test_the_overlay_is_saved_as_png_into_a_new_folder(tmp_path: Path):
    path = tmp_path / "new" / "overlay.png"
    save_overlay(PAGE, [detection(1)], path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (200, 100))
        assert np.array_equal(np.asarray(image), drawn(detection(1)))
