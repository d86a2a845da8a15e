"""Pages as images: what the worker reads and what the API shows, rendered by the same code.

The box of a detection is in pixels of `PageImage.pixels`, so both sides must agree on how a page becomes an image.
"""

from quire.pages.base import PageImage, PageLimits, PageSource
from quire.pages.open import open_source

__all__ = ["PageImage", "PageLimits", "PageSource", "open_source"]
