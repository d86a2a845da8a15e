"""The worker's Celery app with the engine of the tests in place of a real one.

`celery -A tests.chaos.fake_app.celery_app` with the root of the checkout on `PYTHONPATH`, in the folder of the worker.
"""

from __future__ import annotations

from unittest import mock

from celery_app import celery_app
from quire.settings import Settings
from runtime import pool
from tests.chaos.fake_engine import CellsEngine

__all__ = ["celery_app"]


def _create_engine(settings: Settings, threads: int | None = None) -> CellsEngine:
    return CellsEngine()


# The one place where a worker makes its engine.
mock.patch.object(pool, "create_engine", _create_engine).start()
