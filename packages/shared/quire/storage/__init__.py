"""Object storage: one protocol, over S3 (or Backblaze B2, or anything with its API) and over a folder."""

from __future__ import annotations

from functools import lru_cache

from quire.settings import Settings, get_settings
from quire.storage.base import ObjectStore, StoredObject
from quire.storage.folder import FolderStore

__all__ = ["FolderStore", "ObjectStore", "StoredObject", "create_store", "get_store"]


def create_store(settings: Settings) -> ObjectStore:
    """S3 where `S3_BUCKET` is set, else a folder at `QUIRE_OBJECT_DIR`."""
    if settings.s3_bucket is None:
        return FolderStore(settings.quire_object_dir)
    # boto3 takes a while to import: only those who use it wait for it.
    from quire.storage.s3 import S3Store

    return S3Store.from_settings(settings)


@lru_cache(maxsize=1)
def get_store() -> ObjectStore:
    """The store of this process."""
    return create_store(get_settings())
