"""The object storage of a run: a bucket of moto's server, behind the proxy that breaks it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer

from tests.chaos.s3_proxy import S3Proxy

_REGION: Final = "eu-central-003"


@contextmanager
def storage() -> Iterator[tuple[S3Proxy, dict[str, str]]]:
    """The proxy, and the variables with which Quire uses it."""
    # It would write a line for each request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        # Servers of one process share their buckets.
        bucket = f"chaos-{uuid4().hex}"
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name=_REGION,
            aws_access_key_id="id",
            aws_secret_access_key="secret",
        )
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": _REGION})
        with S3Proxy(host, port) as proxy:
            yield (
                proxy,
                {
                    "S3_ENDPOINT_URL": proxy.url,
                    "S3_REGION": _REGION,
                    "S3_ACCESS_KEY_ID": "id",
                    "S3_SECRET_ACCESS_KEY": "secret",
                    "S3_BUCKET": bucket,
                },
            )
    finally:
        server.stop()
