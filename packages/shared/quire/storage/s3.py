"""Objects in S3 or anything that speaks its protocol (Backblaze B2, MinIO, Ceph), through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import botocore.exceptions
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from urllib3.exceptions import HTTPError as TransportError

from quire.errors import ObjectNotFound, StorageAccessDenied, StorageUnreachable
from quire.settings import Settings
from quire.storage.base import CHUNK_BYTES, StoredObject, refuse_oversize

_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}
_DENIED = {
    "401",
    "403",
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "Unauthorized",
}


class S3Store:
    """An `ObjectStore` over the S3 API."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Store:
        """A store for the `S3_*` variables. Without keys, boto3's own search applies (profile, instance role)."""
        key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        return cls(
            boto3.client(
                "s3",
                endpoint_url=settings.s3_endpoint_url,
                region_name=settings.s3_region,
                aws_access_key_id=key_id.get_secret_value() if key_id else None,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                config=Config(
                    connect_timeout=5,
                    # A store that takes requests and answers none costs a minute. The next try is the caller's.
                    read_timeout=20,
                    retries={"mode": "standard", "total_max_attempts": 3},
                    # Backblaze B2 and older MinIO refuse the checksums that newer boto3 adds by default.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        )

    def put(self, bucket: str, key: str, content: BinaryIO, content_type: str | None = None) -> None:
        """See `ObjectStore.put`. Large objects go in parts."""
        with _translated(bucket, key):
            self._client.upload_fileobj(
                content,
                bucket,
                key,
                ExtraArgs={"ContentType": content_type} if content_type else None,
                Config=TransferConfig(use_threads=False),
            )

    def download(self, bucket: str, key: str, target: Path, max_bytes: int | None = None) -> int:
        """See `ObjectStore.download`. A body shorter than announced is a `StorageUnreachable`."""
        with _translated(bucket, key):
            answer = self._client.get_object(Bucket=bucket, Key=key)
            size = int(answer["ContentLength"])
            with closing(answer["Body"]) as body:
                refuse_oversize(size, max_bytes)
                with target.open("wb") as file:
                    for chunk in body.iter_chunks(CHUNK_BYTES):
                        file.write(chunk)
            if target.stat().st_size != size:
                raise StorageUnreachable(f"Object {key!r} arrived incomplete. Try again.")
            return size

    def head(self, bucket: str, key: str) -> StoredObject:
        """See `ObjectStore.head`."""
        with _translated(bucket, key):
            return StoredObject(bucket, key, int(self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]))

    def delete(self, bucket: str, key: str) -> None:
        """See `ObjectStore.delete`."""
        with _translated(bucket, key):
            self._client.delete_object(Bucket=bucket, Key=key)

    def delete_prefix(self, bucket: str, prefix: str) -> None:
        """See `ObjectStore.delete_prefix`. One by one: not every store knows how to delete many at once."""
        with _translated(bucket, prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    self._client.delete_object(Bucket=bucket, Key=found["Key"])

    def check(self, bucket: str) -> None:
        """See `ObjectStore.check`."""
        with _translated(bucket, ""):
            self._client.head_bucket(Bucket=bucket)


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """Turn boto3's errors into storage errors, without the request in the message."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _from_answer(error, bucket, key) from error
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise StorageAccessDenied(
            "There are no object storage credentials. Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY."
        ) from error
    except S3UploadFailedError as error:
        if isinstance(error.__cause__ or error.__context__, botocore.exceptions.ClientError):
            raise _from_answer(error.__cause__ or error.__context__, bucket, key) from error
        raise StorageUnreachable(f"Object {key!r} could not be uploaded. Try again.") from error
    except botocore.exceptions.ParamValidationError as error:
        raise ObjectNotFound(f"There cannot be an object {key!r} in a bucket {bucket!r}. Check both names.") from error
    except (botocore.exceptions.BotoCoreError, TransportError, OSError) as error:
        raise StorageUnreachable(
            f"The object store did not answer ({type(error).__name__}). Check S3_ENDPOINT_URL and the network."
        ) from error


def _from_answer(error: Any, bucket: str, key: str) -> ObjectNotFound | StorageAccessDenied | StorageUnreachable:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket" or (code in _NOT_FOUND and not key):
        return ObjectNotFound(f"There is no bucket {bucket!r}. Check S3_BUCKET.")
    if code in _NOT_FOUND or status == 404:
        return ObjectNotFound(f"There is no object {key!r} in bucket {bucket!r}.")
    if code in _DENIED or status in (401, 403):
        return StorageAccessDenied(
            f"The object store refused these credentials for bucket {bucket!r} ({code or status}). "
            "Check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and the key's permissions."
        )
    return StorageUnreachable(f"The object store could not serve the request ({code or status}). Try again.")
