"""Queues for the commands of images."""

from __future__ import annotations

import time

import pytest

from quire.embedded import EmbeddedRedis


@pytest.fixture
def queues(redis_server: EmbeddedRedis) -> dict[str, str]:
    """Redis, and queues that no other test uses."""
    unique = f"images-{time.monotonic_ns()}"
    return {"REDIS_URL": redis_server.url, "CELERY_DEFAULT_QUEUE": unique, "CELERY_OCR_QUEUE": f"{unique}-ocr"}
