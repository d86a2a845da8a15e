"""Lets PaddleX find the OpenCV that is installed.

PaddleX looks for the *distribution* `opencv-contrib-python` before it imports `cv2`. The environment has
`opencv-contrib-python-headless` of the same version instead, which needs no libGL. Without this, PaddleX reports a
missing dependency although `cv2` is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import metadata

_WANTED = "opencv-contrib-python"
_INSTALLED = "opencv-contrib-python-headless"


class _OpencvAlias(metadata.DistributionFinder):
    """Answers a question for `opencv-contrib-python` with the headless build's metadata."""

    def find_spec(self, *_args: object, **_kwargs: object) -> None:
        return None

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterable[metadata.Distribution]:
        if context is None or context.name != _WANTED:
            return []
        try:
            return [metadata.distribution(_INSTALLED)]
        except metadata.PackageNotFoundError:
            return []


def install() -> None:
    """Register the alias, once. After the regular finders: a real `opencv-contrib-python` is found first."""
    if not any(isinstance(finder, _OpencvAlias) for finder in sys.meta_path):
        sys.meta_path.append(_OpencvAlias())
