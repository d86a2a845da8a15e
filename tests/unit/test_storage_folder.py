"""Objects in a folder."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quire.errors import ObjectNotFound, StorageAccessDenied, StorageUnreachable, TooLarge
from quire.settings import Settings
from quire.storage import FolderStore, StoredObject, create_store

OUTSIDE = ["../x", "../../x", "/etc/passwd", "a/../../x", "..", ".", "", "a/..", "./"]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "objects")


def put(store: FolderStore, key: str, content: bytes, bucket: str = "in") -> None:
    store.put(bucket, key, io.BytesIO(content))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Broken(io.RawIOBase):
    """Content whose connection breaks after the first bytes."""

    def __init__(self) -> None:
        self.sent = False

    def read(self, size: int = -1) -> bytes:
        if self.sent:
            raise ConnectionResetError("gone")
        self.sent = True
        return b"half"


def test_without_a_bucket_objects_live_in_the_folder(tmp_path: Path):
    store = create_store(Settings(quire_object_dir=tmp_path))
    assert isinstance(store, FolderStore)
    assert store.root == tmp_path


def test_what_was_put_is_downloaded(store: FolderStore, tmp_path: Path):
    put(store, "a/b/c.pdf", b"content")
    assert store.download("in", "a/b/c.pdf", tmp_path / "file") == 7
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_download_replaces_what_was_in_the_file(store: FolderStore, tmp_path: Path):
    put(store, "a", b"new")
    (tmp_path / "file").write_bytes(b"something longer")
    store.download("in", "a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_head_says_the_size(store: FolderStore):
    put(store, "a.pdf", b"12345")
    assert store.head("in", "a.pdf") == StoredObject("in", "a.pdf", 5)


def test_an_empty_object_is_an_object(store: FolderStore, tmp_path: Path):
    put(store, "empty", b"")
    assert store.download("in", "empty", tmp_path / "file") == 0
    assert (tmp_path / "file").read_bytes() == b""


def test_put_replaces_what_was_there(store: FolderStore):
    put(store, "a", b"old and longer")
    put(store, "a", b"new")
    assert store.head("in", "a").size == 3


def test_the_same_key_in_two_buckets_is_two_objects(store: FolderStore):
    put(store, "a", b"1", bucket="one")
    put(store, "a", b"22", bucket="two")
    assert (store.head("one", "a").size, store.head("two", "a").size) == (1, 2)


def test_a_put_that_breaks_leaves_the_old_object(store: FolderStore, tmp_path: Path):
    put(store, "a", b"old")
    with pytest.raises(StorageUnreachable):
        store.put("in", "a", Broken())  # type: ignore[arg-type]
    store.download("in", "a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_put_that_breaks_leaves_no_part_of_itself(store: FolderStore):
    with pytest.raises(StorageUnreachable):
        store.put("in", "a", Broken())  # type: ignore[arg-type]
    assert files(store.root) == set()


def test_a_reader_sees_the_old_object_or_the_new_one_whole(store: FolderStore, tmp_path: Path):
    versions = [bytes([letter]) * 300_000 for letter in (65, 66)]
    put(store, "a", versions[0])
    stop = threading.Event()

    def write() -> None:
        for turn in range(10_000):
            if stop.is_set():
                return
            put(store, "a", versions[turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            store.download("in", "a", tmp_path / "file")
            assert (tmp_path / "file").read_bytes() in versions
    finally:
        stop.set()
        writer.join()


def test_a_missing_object_cannot_be_downloaded(store: FolderStore, tmp_path: Path):
    with pytest.raises(ObjectNotFound, match="'missing'"):
        store.download("in", "missing", tmp_path / "file")


def test_a_missing_object_leaves_no_file(store: FolderStore, tmp_path: Path):
    with pytest.raises(ObjectNotFound):
        store.download("in", "missing", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_missing_object_has_no_head(store: FolderStore):
    with pytest.raises(ObjectNotFound):
        store.head("in", "missing")


def test_a_folder_of_objects_is_no_object(store: FolderStore):
    put(store, "a/b", b"x")
    with pytest.raises(ObjectNotFound):
        store.head("in", "a")


def test_a_folder_of_objects_cannot_be_downloaded(store: FolderStore, tmp_path: Path):
    put(store, "a/b", b"x")
    with pytest.raises(ObjectNotFound):
        store.download("in", "a", tmp_path / "file")


def test_an_object_is_deleted(store: FolderStore):
    put(store, "a", b"x")
    store.delete("in", "a")
    with pytest.raises(ObjectNotFound):
        store.head("in", "a")


def test_all_objects_below_a_prefix_are_deleted(store: FolderStore):
    for key in ("a/1", "a/b/2", "ab", "b"):
        put(store, key, b"x")
    store.delete_prefix("in", "a/")
    store.delete_prefix("in", "nothing/")
    for key in ("a/1", "a/b/2"):
        with pytest.raises(ObjectNotFound):
            store.head("in", key)
    assert [store.head("in", key).size for key in ("ab", "b")] == [1, 1]


@pytest.mark.parametrize("prefix", ["../", "../../", "/", "./", "a/../", "a/../../"])
def test_no_prefix_leads_out_of_the_bucket(store: FolderStore, tmp_path: Path, prefix: str):
    put(store, "a/1", b"x")
    put(store, "1", b"x", bucket="other")
    with pytest.raises(ObjectNotFound):
        store.delete_prefix("in", prefix)
    assert files(store.root) == {"in/a/1", "other/1"}


@pytest.mark.parametrize("key", ["missing", "a", "a/b/c", "missing/too", "x" * 300])
def test_deleting_what_is_not_there_is_no_error(store: FolderStore, key: str):
    put(store, "a/b", b"x")
    store.delete("in", key)
    assert store.head("in", "a/b").size == 1


def test_an_object_of_just_the_limit_is_downloaded(store: FolderStore, tmp_path: Path):
    put(store, "a", b"12345")
    assert store.download("in", "a", tmp_path / "file", max_bytes=5) == 5


def test_an_object_over_the_limit_is_refused(store: FolderStore, tmp_path: Path):
    put(store, "a", b"12345")
    with pytest.raises(TooLarge, match="5 bytes, the limit is 4"):
        store.download("in", "a", tmp_path / "file", max_bytes=4)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_that_leads_out_of_its_bucket_names_nothing(store: FolderStore, tmp_path: Path, key: str):
    put(store, "inside", b"x")
    (store.root / "x").write_bytes(b"secret")
    with pytest.raises(ObjectNotFound):
        store.download("in", key, tmp_path / "file")


@pytest.mark.parametrize("key", OUTSIDE)
def test_nothing_is_put_outside_of_the_bucket(store: FolderStore, tmp_path: Path, key: str):
    with pytest.raises(ObjectNotFound):
        put(store, key, b"x")
    assert files(tmp_path) == set()


def test_nothing_is_deleted_outside_of_the_bucket(store: FolderStore):
    put(store, "a", b"x", bucket="other")
    with pytest.raises(ObjectNotFound):
        store.delete("in", "../other/a")
    assert store.head("other", "a").size == 1


@pytest.mark.parametrize("bucket", ["", ".", "..", "../other", "/", "a/b", "/tmp"])
def test_a_bucket_that_leads_out_of_the_folder_names_nothing(store: FolderStore, tmp_path: Path, bucket: str):
    with pytest.raises(ObjectNotFound):
        put(store, "x", b"x", bucket=bucket)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("name", [("in", "a\0b"), ("i\0n", "a"), ("in", "x" * 300), ("in", "\ud800")], ids=ascii)
def test_a_name_that_no_file_can_have_names_nothing(store: FolderStore, name: tuple[str, str]):
    with pytest.raises(ObjectNotFound):
        store.head(*name)


@given(bucket=st.text(max_size=8), key=st.text("ab./\\\0é ", max_size=12))
def test_whatever_is_put_lies_within_its_bucket(tmp_path_factory: pytest.TempPathFactory, bucket: str, key: str):
    home = tmp_path_factory.mktemp("home")
    store = FolderStore(home / "objects")
    try:
        put(store, key, b"x", bucket=bucket)
    except ObjectNotFound:
        assert files(home) == set()
    else:
        (written,) = files(home)
        assert written.startswith(f"objects/{bucket}/")
        assert store.head(bucket, key).size == 1


def test_check_makes_the_folder(store: FolderStore):
    store.check("in")
    assert store.root.is_dir()


def test_check_names_a_folder_that_is_none(tmp_path: Path):
    (tmp_path / "objects").write_text("a file")
    with pytest.raises(StorageUnreachable):
        FolderStore(tmp_path / "objects").check("in")


def test_a_folder_of_another_user_is_access_denied(store: FolderStore, monkeypatch: pytest.MonkeyPatch):
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The tests may run as root, who may write everywhere.
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(StorageAccessDenied, match="QUIRE_OBJECT_DIR"):
        put(store, "a", b"x")
