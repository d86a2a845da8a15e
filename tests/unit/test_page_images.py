"""Documents on local disk while their pages are looked at, and the images made from them."""

from __future__ import annotations

import io
from pathlib import Path
from uuid import uuid4

import pytest

from quire.cli.samples import sample_photo
from quire.database.tables import Document
from quire.deletion import derived_prefix
from quire.errors import Corrupt, ObjectNotFound, StorageUnreachable
from quire.settings import Settings
from quire.storage import FolderStore
from quire_api import page_images
from quire_api.page_images import PageImages, Sources


class CountingStore(FolderStore):
    """A folder that counts what is downloaded from it."""

    downloads = 0

    def download(self, bucket: str, key: str, target: Path, max_bytes: int | None = None) -> int:
        self.downloads += 1
        return super().download(bucket, key, target, max_bytes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(quire_object_dir=tmp_path / "objects", quire_runtime_dir=tmp_path / "run")


@pytest.fixture
def store(settings: Settings) -> CountingStore:
    return CountingStore(settings.quire_object_dir)


def add(store: FolderStore, settings: Settings, content: bytes = b"0123456789") -> Document:
    document = Document(id=uuid4(), bucket=settings.default_bucket, source_key=f"uploads/{uuid4()}", options={})
    store.put(document.bucket, document.source_key, io.BytesIO(content))
    return document


def folders(settings: Settings) -> list[Path]:
    return list((settings.quire_runtime_dir / "files").glob("*"))


def test_a_document_is_fetched_once(store: CountingStore, settings: Settings):
    sources, document = Sources(100), add(store, settings)
    for _ in range(50):
        with sources.open(document, settings, store) as path:
            assert path.read_bytes() == b"0123456789"
    assert store.downloads == 1


def test_the_ones_used_last_are_kept(store: CountingStore, settings: Settings):
    sources, (first, second, third) = Sources(20), [add(store, settings) for _ in range(3)]
    for document in (first, second, first, third):
        with sources.open(document, settings, store):
            pass
    assert len(folders(settings)) == 2
    with sources.open(first, settings, store):
        assert store.downloads == 3
    with sources.open(second, settings, store):
        assert store.downloads == 4


def test_what_is_in_use_stays(store: CountingStore, settings: Settings):
    sources, first = Sources(5), add(store, settings)
    with sources.open(first, settings, store) as path:
        with sources.open(add(store, settings), settings, store):
            pass
        assert path.read_bytes() == b"0123456789"
    assert folders(settings) == []


def test_a_document_that_cannot_be_fetched_leaves_nothing(store: CountingStore, settings: Settings):
    sources, missing = Sources(100), add(store, settings)
    store.delete(missing.bucket, missing.source_key)
    for _ in range(3):
        with pytest.raises(ObjectNotFound), sources.open(missing, settings, store):
            pass
    assert (folders(settings), len(sources)) == ([], 0)


def test_an_image_that_cannot_be_kept_is_shown_all_the_same(settings: Settings):
    class Full(FolderStore):
        def put(self, bucket: str, key: str, content: object, content_type: str | None = None) -> None:
            if key.startswith("derived/"):
                raise StorageUnreachable("no space")
            super().put(bucket, key, content, content_type)  # type: ignore[arg-type]

    store = Full(settings.quire_object_dir)
    image = PageImages(settings, store).find(add(store, settings, sample_photo()), 1, None, 240)
    assert image.kept() is None
    assert image.made(lambda: True).startswith(b"\xff\xd8")


def test_a_page_that_cannot_be_rendered_is_not_tried_again_at_once(
    store: CountingStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    document, images = add(store, settings, b"%PDF-1.7 damaged"), PageImages(settings, store)
    for width in (240, 480, 960):
        with pytest.raises(Corrupt):
            images.find(document, 1, 180, width).made(lambda: True)
        monkeypatch.setattr(page_images, "renderers", lambda: pytest.fail("tried again"))


@pytest.mark.parametrize("there", [True, False])
def test_an_image_of_a_document_that_is_deleted_meanwhile_is_not_kept(
    store: CountingStore, settings: Settings, there: bool
):
    document = add(store, settings, sample_photo())
    image = PageImages(settings, store).find(document, 1, None, 240)
    content = image.made(lambda: there)
    assert content.startswith(b"\xff\xd8")
    assert image.kept() == (content if there else None)
    kept = settings.quire_object_dir / settings.default_bucket / derived_prefix(document.id)
    assert kept.exists() is there
