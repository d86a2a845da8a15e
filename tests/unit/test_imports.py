"""What importing Quire does not load: an API image has no OCR engine, and a worker loads its own when it needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINES = ("paddle", "paddleocr", "paddlex", "onnxruntime", "cv2", "rapidocr")


def loaded_by(module: str, watched: tuple[str, ...]) -> set[str]:
    """Which of the watched packages a fresh process has after importing the module."""
    program = f"import sys, {module}; print(*set({watched!r}) & sys.modules.keys())"
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker"))
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "quire",
        "quire.tasks",
        "quire.jobs",
        "quire.storage",
        "quire.pages",
        "quire.pages.pdf",
        "quire.pages.image",
        "quire.database.leases",
        "quire.exports.formats",
        "quire.exports.overlay",
        "ocr.engines",
        "ocr.engines.paddle",
        "ocr.read",
    ],
)
def test_importing_loads_no_ocr_engine(module):
    assert loaded_by(module, ENGINES) == set()


@pytest.mark.parametrize("module", ["ocr.read", "ocr.engines.paddle", "study.make"])
def test_the_cores_load_no_queue_no_database_and_no_web_framework(module):
    assert loaded_by(module, ("celery", "kombu", "sqlalchemy", "fastapi", "redis")) == set()


def test_the_serverless_handler_loads_the_package_of_its_platform_when_it_starts_and_not_before():
    assert loaded_by("serverless_handler", ("runpod", *ENGINES)) == set()


def test_the_folder_store_does_not_wait_for_boto3():
    assert loaded_by("quire.storage", ("boto3", "botocore")) == set()


def test_a_worker_starts_without_the_language_models_package():
    assert loaded_by("tasks", ("openai", "aiohttp")) == set()
