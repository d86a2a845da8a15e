"""The worker's Celery app with an engine that takes `PAGE_SECONDS` for a page, or cannot be loaded (`broken`)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

from celery_app import celery_app
from ocr.engines import TextLine
from quire.errors import EngineUnavailable
from quire.pages import PageImage
from quire.settings import Settings
from runtime import pool

__all__ = ["celery_app"]

PAGE_SECONDS = os.environ["PAGE_SECONDS"]
_BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


class SlowEngine:
    name = "slow"
    version = "1"

    def warm_up(self) -> None:
        if PAGE_SECONDS == "broken":
            time.sleep(0.5)
            raise EngineUnavailable("This engine is there to be broken.")

    def recognize(self, images: Sequence[PageImage], languages: Sequence[str]) -> list[list[TextLine]]:
        time.sleep(float(PAGE_SECONDS) * len(images))
        return [[TextLine(f"page {image.number}", _BOX, 0.99)] for image in images]

    def describe(self) -> dict[str, Any]:
        return {"engine": self.name}


def _create_engine(settings: Settings, threads: int | None = None) -> SlowEngine:
    return SlowEngine()


mock.patch.object(pool, "create_engine", _create_engine).start()
