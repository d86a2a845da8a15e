"""Bent pages made flat (UVDoc), and where each point of the flat page was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np

from ocr.engines.offline import ONNX_FILE, require_model
from ocr.preparation.onnx_model import Floats, OnnxModel
from quire.contracts import Point
from quire.errors import EngineUnavailable
from quire.pages import PageImage

MODEL: Final = "UVDoc"

# The network looks at the page at this size, and says for so many points where they come from; between them it
# interpolates itself, so that nothing is lost by keeping no more.
_INPUT: Final = (488, 712)
_COLUMNS: Final = 31
_ROWS: Final = 45
# Rows that are flattened at once: their map takes four times as much memory as they do.
_BAND: Final = 512


@dataclass(frozen=True)
class Grid:
    """For points spread evenly over the flat page, from corner to corner: where they were, in pixels.

    `points` are of shape (rows, columns, 2), `width` and `height` those of both images.
    """

    points: Floats
    width: int
    height: int

    def before(self, point: Point) -> Point:
        """Where a point of the flat page was on the bent one."""
        rows, columns = self.points.shape[:2]
        x = float(np.clip(point[0] / max(self.width - 1, 1), 0, 1)) * (columns - 1)
        y = float(np.clip(point[1] / max(self.height - 1, 1), 0, 1)) * (rows - 1)
        column, row = min(int(x), columns - 2), min(int(y), rows - 2)
        across, down = x - column, y - row
        cell = self.points[row : row + 2, column : column + 2].astype(np.float64)
        upper = cell[0, 0] * (1 - across) + cell[0, 1] * across
        lower = cell[1, 0] * (1 - across) + cell[1, 1] * across
        found = upper * (1 - down) + lower * down
        return round(float(found[0]), 2), round(float(found[1]), 2)

    def rounded(self) -> tuple[tuple[Point, ...], ...]:
        """As it is stored: to a tenth of a pixel."""
        rows = np.round(self.points.astype(np.float64), 1).tolist()
        return tuple(tuple((x, y) for x, y in row) for row in rows)


class Flattening:
    """Flattens page images. Its model is in `directory`, if that is given.

    Raises:
        EngineUnavailable: the model is missing or damaged.
    """

    def __init__(self, model_dir: Path, threads: int, directory: Path | None = None) -> None:
        directory = directory or require_model(model_dir, MODEL, (ONNX_FILE,), "doc_unwarping")
        path = directory / ONNX_FILE
        self._model = OnnxModel(_graph_of_places(path), MODEL, threads)

    def grid(self, image: PageImage) -> Grid:
        """How to flatten an image."""
        small = cv2.resize(image.pixels, _INPUT, interpolation=cv2.INTER_AREA)
        # The network was trained on blue, green, red.
        values = small[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None] / 255
        places = self._model.run(np.ascontiguousarray(values))
        if places.ndim != 4 or places.shape[3] != 2 or min(places.shape[1:3]) < 2:
            raise EngineUnavailable(f"The model {MODEL} cannot be run: it is not the model it should be.")
        nodes = _resampled(np.ascontiguousarray(places[0], np.float32), _COLUMNS, _ROWS)
        extent = np.array([image.width - 1, image.height - 1], np.float32)
        # From the network's range, -1 to 1 between the centres of the outermost pixels.
        points = np.clip((nodes + 1) / 2, 0, 1) * extent
        return Grid(points.astype(np.float32), image.width, image.height)


def flattened(image: PageImage, grid: Grid) -> PageImage:
    """The flat page, of the size of the bent one."""
    pixels = np.empty_like(image.pixels)
    for top in range(0, image.height, _BAND):
        bottom = min(top + _BAND, image.height)
        places = _resampled(grid.points, image.width, image.height, top, bottom)
        pixels[top:bottom] = cv2.remap(image.pixels, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return replace(image, pixels=pixels)


def _resampled(points: Floats, width: int, height: int, top: int = 0, bottom: int | None = None) -> Floats:
    """Rows `top` to `bottom` of points interpolated at `width` × `height` places, corners upon corners."""
    rows, columns = points.shape[:2]
    x = np.linspace(0, columns - 1, width, dtype=np.float32)
    y = np.linspace(0, rows - 1, height, dtype=np.float32)[top:bottom]
    across, down = np.meshgrid(x, y)
    # OpenCV interpolates in steps of a thirty-second, too coarse for places.
    left, upper = np.minimum(across.astype(np.int32), columns - 2), np.minimum(down.astype(np.int32), rows - 2)
    right_share, lower_share = (across - left)[..., None], (down - upper)[..., None]
    above = points[upper, left] * (1 - right_share) + points[upper, left + 1] * right_share
    below = points[upper + 1, left] * (1 - right_share) + points[upper + 1, left + 1] * right_share
    return cast(Floats, (above * (1 - lower_share) + below * lower_share).astype(np.float32))


def _graph_of_places(path: Path) -> bytes:
    """The network without its last step, which would sample the image: its output are the places to sample at."""
    import onnx

    try:
        model: Any = onnx.load(str(path))
    except Exception as error:
        # Whatever the parser of a damaged file raises.
        raise EngineUnavailable(f"The model {MODEL} cannot be loaded: its ONNX file is damaged.") from error
    samplings = [node for node in model.graph.node if node.op_type == "GridSample"]
    if not samplings:
        raise EngineUnavailable(
            f"The model {MODEL} in {path.parent} has no GridSample: export it with opset 16 or later."
        )
    places = samplings[-1].input[1]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(places, onnx.TensorProto.FLOAT, None))
    # A graph may not have steps that lead nowhere but to what is gone.
    model.graph.node.remove(samplings[-1])
    return cast(bytes, model.SerializeToString())
