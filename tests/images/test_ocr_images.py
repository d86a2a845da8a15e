"""The commands of the images that read pages, with only what their Dockerfiles copy and install."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from quire import tasks
from quire.cli.samples import PHOTO, sample_photo
from quire.contracts import OcrPayload
from quire.storage import FolderStore
from tests.images.dockerfile import ROOT, last
from tests.images.image import Image
from tests.images.processes import app_of, running

GPU = "infra/runpod/Dockerfile"
HUB_TESTS = json.loads((ROOT / "infra/runpod/tests.json").read_text(encoding="utf-8"))["tests"]
README = (ROOT / "infra/runpod/README.md").read_text(encoding="utf-8")
# There is no GPU here: on the CPU the same image takes OpenVINO.
ON_THE_CPU = {"PADDLEOCR_USE_GPU": "0"}


@pytest.fixture(scope="module")
def gpu_image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The pod's and the serverless image in one: they differ in variables and commands."""
    return Image(tmp_path_factory.mktemp("gpu"), GPU)


def read_a_photo(image: Image, command: list[str], log: Path, queues: dict[str, str], **environment: str) -> None:
    own = queues | environment | {"CELERY_QUEUE": queues["CELERY_OCR_QUEUE"]}
    FolderStore(image.path("/data/objects")).put("quire", "photo.jpg", io.BytesIO(sample_photo()))
    with running(image.start(log, command, **own)):
        call = tasks.ocr_document.send(OcrPayload(key="photo.jpg"), app=app_of(queues))
        assert tasks.ocr_document.load_result(call.get(timeout=60)).text.splitlines() == list(PHOTO)
        assert image.run(["python", "-m", "runtime.liveness"], **own).returncode == 0


def test_the_cpu_worker_reads_a_photo(queues, model_dir, tmp_path):
    image = Image(tmp_path / "image", "apps/worker/Dockerfile")
    command = last(image.chain, "CMD").words
    read_a_photo(image, command, tmp_path / "worker.log", queues, QUIRE_MODEL_DIR=str(model_dir))


def test_a_pod_attaches_to_its_queue_as_a_person_types_it(gpu_image: Image, queues, model_dir, tmp_path):
    """Without `-Q`: the worker consumes `CELERY_QUEUE`."""
    (line,) = re.findall(r"^ *\$ CELERY_QUEUE=ocr (celery .*)$", README, re.M)
    command = line.replace("${CELERY_CONCURRENCY:-4}", "1").split()
    assert "-Q" not in command
    read_a_photo(gpu_image, command, tmp_path / "worker.log", queues, QUIRE_MODEL_DIR=str(model_dir), **ON_THE_CPU)


def test_the_serverless_image_does_its_test_job(gpu_image: Image, model_dir):
    # Made when the image was: for the GPU, which this machine lacks.
    assert any("onnxruntime" in folder.name for folder in gpu_image.path("/opt/models/lean").iterdir())
    # Without a platform to ask for jobs it does the one in test_input.json.
    done = gpu_image.run(last(gpu_image.chain, "CMD").words, QUIRE_MODEL_DIR=str(model_dir), **ON_THE_CPU)
    assert done.returncode == 0, done.stderr
    assert "'status': 'ok'" in done.stdout + done.stderr
    given = json.loads(gpu_image.path("/app/apps/worker/test_input.json").read_text(encoding="utf-8"))["input"]
    keys = {each["input"]["payload"]["key"] for each in HUB_TESTS}
    assert given["payload"]["key"] in keys
    assert all((gpu_image.path("/data/objects/quire") / key).is_file() for key in keys)
