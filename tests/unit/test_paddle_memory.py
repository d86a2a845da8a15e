"""PaddleOCR with less memory than it wants: a process whose address space ends shortly above what is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ocr.engines.models import bundled_models

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
pytestmark = pytest.mark.filterwarnings("ignore")

WITH_LITTLE_MEMORY = """
import json, resource, sys
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocr.engines.halving import is_out_of_memory
from ocr.engines.paddle import PaddleEngine, _predict
from quire.errors import OutOfMemory
from quire.pages import PageImage
from quire.settings import Settings

asked = json.loads(sys.argv[1])


def page(number):
    image = Image.new("L", (960, 960), 255)
    draw = ImageDraw.Draw(image)
    if asked["lines"] == 1:
        draw.text((80, 50), f"Page {number}", font=ImageFont.load_default(48), fill=0)
    else:
        for line in range(asked["lines"]):
            words = f"{line} the quick brown fox jumps over the lazy dog and runs away into the wood " * 2
            draw.text((10, 10 + 28 * line), words[:150], font=ImageFont.load_default(13), fill=0)
    return PageImage(number, np.asarray(image.convert("RGB")))


def fits(attempt):
    try:
        attempt()
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    return True


pages = [page(number) for number in range(1, asked["pages"] + 1)]
engine = PaddleEngine(
    Settings(
        quire_model_dir=asked["models"],
        paddleocr_page_batch=asked["pages"],
        paddleocr_rec_batch=asked["rec_batch"],
        quire_ocr_threads=1,
    )
)
engine.warm_up()
if asked["lines"] > 1:
    # Every library that long lines need has its threads' storage before memory ends: else glibc aborts the process.
    _predict(engine._pipeline(["en"]), pages[:1], 1)
lines = Path("/proc/self/status").read_text().splitlines()
used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + asked["bytes"],) * 2)
answer = {"fits": fits(partial(_predict, engine._pipeline(["en"]), pages, asked["rec_batch"]))}
try:
    answer["read"] = [[line.text for line in lines] for lines in engine.recognize(pages, ["en"])]
except OutOfMemory as error:
    answer["error"] = error.message
print(json.dumps(answer | engine.describe()))
"""


def read(model_dir: Path, **asked: Any) -> dict[str, Any]:
    bundled_models(model_dir)
    path = ":".join(str(ROOT / folder) for folder in ("packages/shared", "apps/worker"))
    done = subprocess.run(
        [sys.executable, "-c", WITH_LITTLE_MEMORY, json.dumps(asked | {"models": str(model_dir)})],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_pages_that_do_not_fit_together_are_read_in_smaller_batches(model_dir: Path):
    answer = read(model_dir, pages=8, lines=1, rec_batch=6, bytes=800 * MIB)
    assert not answer["fits"]
    assert answer["read"] == [[f"Page {number}"] for number in range(1, 9)]
    # What did not fit is not tried again with the next pages.
    assert 1 <= answer["page_batch"] < 8


def test_lines_that_do_not_fit_together_are_read_in_smaller_batches(model_dir: Path):
    answer = read(model_dir, pages=1, lines=32, rec_batch=64, bytes=800 * MIB)
    assert not answer["fits"]
    (lines,) = answer["read"]
    assert len(lines) == 32
    assert all("fox" in line for line in lines)
    # The next page is read as if this one had not been.
    assert answer["rec_batch"] == 64


def test_a_page_that_does_not_fit_alone_is_out_of_memory(model_dir: Path):
    answer = read(model_dir, pages=4, lines=1, rec_batch=6, bytes=50 * MIB)
    assert answer["error"] == "Page 1 needs more memory than there is."


def test_pages_that_fit_together_stay_one_batch(model_dir: Path):
    answer = read(model_dir, pages=2, lines=1, rec_batch=6, bytes=4096 * MIB)
    assert answer["fits"]
    assert answer["page_batch"] == 2
