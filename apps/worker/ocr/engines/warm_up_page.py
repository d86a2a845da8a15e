"""The page on which engines try themselves out."""

from __future__ import annotations

import numpy as np

from quire.pages import PageImage


def warm_up_page() -> PageImage:
    """A page with a line of text on it, so that detection and recognition both run."""
    # Only here: which of its builds is installed is decided when an engine is made.
    import cv2

    pixels = np.full((320, 640, 3), 255, np.uint8)
    cv2.putText(pixels, "Quire 0123456789", (40, 170), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
    return PageImage(1, pixels)
