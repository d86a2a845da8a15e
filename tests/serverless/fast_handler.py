"""The serverless handler with the engine of the chaos tests, which reads cells, in place of a real one.

`python -m tests.serverless.fast_handler` with the root of the checkout and the folder of the worker on `PYTHONPATH`.
`SHORT_PAUSES=1` shortens the second that the worker loop of `runpod` waits between two jobs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any
from unittest import mock

from ocr.engines import TextLine
from ocr.engines.warm_up_page import warm_up_page
from quire.pages import PageImage
from quire.settings import Settings
from runtime import pool
from tests.chaos.fake_engine import CellsEngine

_TEST_PAGE = warm_up_page().pixels.shape


class Engine(CellsEngine):
    """Reads the page by which engines are checked as well."""

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        if images[0].pixels.shape == _TEST_PAGE:
            box = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
            return [[TextLine("Quire 0123456789", box, 0.99)]]
        return super().recognize(images, languages)


def _create_engine(settings: Settings, threads: int | None = None) -> Engine:
    return Engine()


def main() -> None:
    mock.patch.object(pool, "create_engine", _create_engine).start()
    if os.environ.get("SHORT_PAUSES"):
        sleep = asyncio.sleep

        async def shorter(seconds: float, result: Any = None) -> Any:
            return await sleep(min(seconds, 0.02), result)

        mock.patch("asyncio.sleep", shorter).start()
    import serverless_handler

    serverless_handler.main()


if __name__ == "__main__":
    main()
