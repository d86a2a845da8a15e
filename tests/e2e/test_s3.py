"""The whole system over the S3 protocol: uploads, workers and results with a bucket instead of a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from quire.cli.samples import PHOTO, sample_photo
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack

BUCKET = "scans-of-a-stack"
REGION = "eu-central-003"


@pytest.fixture
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url: str) -> Any:
    client = boto3.client(
        "s3", endpoint_url=s3_url, region_name=REGION, aws_access_key_id="id", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def stack(s3: Any, s3_url: str, model_dir: Path, tmp_path: Path) -> Iterator[Stack]:
    env = {
        "QUIRE_MODEL_DIR": str(model_dir),
        "S3_ENDPOINT_URL": s3_url,
        "S3_REGION": REGION,
        "S3_ACCESS_KEY_ID": "id",
        "S3_SECRET_ACCESS_KEY": "secret",
        "S3_BUCKET": BUCKET,
    }
    with Stack(tmp_path / "stack", free_port(), env=env) as running:
        yield running


def test_an_upload_goes_to_the_bucket_and_is_read_from_there(stack: Stack, s3: Any):
    answer = httpx.post(
        f"{stack.api_url}/api/v1/ocr/process", files={"file": ("photo.jpg", sample_photo())}, timeout=30
    )
    task_id = answer.raise_for_status().json()["task_id"]
    stored = s3.get_object(Bucket=BUCKET, Key=f"uploads/{task_id}")
    assert stored["Body"].read() == sample_photo()
    assert stored["ContentType"] == "image/jpeg"
    deadline = time.monotonic() + 60
    while (task := httpx.get(f"{stack.api_url}/api/v1/ocr/results/{task_id}").json())["status"] != "SUCCESS":
        assert time.monotonic() < deadline, task
        time.sleep(0.1)
    assert [found["text"] for found in task["result"]["detections"]] == list(PHOTO)
    assert not (stack.home / "objects").exists()
