"""Where models can be had: a hub, or a folder of them that somebody serves over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx

from ocr.model_store.catalogue import Model
from ocr.model_store.checksums import SUMS, parse_sums, safe_path
from quire.errors import ModelsUnreachable

# What engines read. Code, pictures and weights in other forms stay where they are.
_SUFFIXES: Final = frozenset(
    {
        ".jinja",
        ".json",
        ".model",
        ".onnx",
        ".pdiparams",
        ".pdmodel",
        ".pdparams",
        ".safetensors",
        ".txt",
        ".yaml",
        ".yml",
    }
)


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch. `digest` is its SHA-256, or, where `is_blob`, the SHA-1 that Git knows it by, as hex."""

    path: str
    url: str
    digest: str
    is_blob: bool = False

    def matches(self, file: Path) -> bool:
        """Whether a file on this machine is that one."""
        with file.open("rb") as stream:
            if not self.is_blob:
                return hashlib.file_digest(stream, "sha256").hexdigest() == self.digest
            digest = hashlib.sha1(b"blob %d\x00" % file.stat().st_size, usedforsecurity=False)
            for piece in iter(lambda: stream.read(1 << 20), b""):
                digest.update(piece)
            return digest.hexdigest() == self.digest


class Source(Protocol):
    """Knows the files of models."""

    def files(self, model: Model) -> list[RemoteFile]:
        """The model's files.

        Raises:
            ModelsUnreachable: it does not answer, or does not have it.
        """


class Folder:
    """`BASE/NAME/SHA256SUMS`, and beside it the files that it names."""

    def __init__(self, client: httpx.Client, base: str) -> None:
        self._client, self._base = client, base.rstrip("/")

    def files(self, model: Model) -> list[RemoteFile]:
        """See `Source.files`."""
        folder = f"{self._base}/{quote(str(model.repository).rpartition('/')[2])}"
        with reaching(folder):
            answer = self._client.get(f"{folder}/{SUMS}")
            answer.raise_for_status()
            sums = parse_sums(answer.text)
        return [RemoteFile(path, f"{folder}/{quote(path)}", digest) for path, digest in sums.items()]


class Hub:
    """A hub of Git repositories, as huggingface.co is and its mirrors are: the newest state of the model's."""

    def __init__(self, client: httpx.Client, endpoint: str) -> None:
        self._client, self._endpoint = client, endpoint.rstrip("/")

    def files(self, model: Model) -> list[RemoteFile]:
        """See `Source.files`."""
        api = f"{self._endpoint}/api/models/{model.repository}"
        with reaching(api):
            commit = str(self._json(f"{api}/revision/main")["sha"])
            listed = self._json(f"{api}/tree/{commit}?recursive=true")
            files = [entry for entry in listed if entry["type"] == "file"]
            return [self._file(model, commit, entry) for entry in files if Path(entry["path"]).suffix in _SUFFIXES]

    def _file(self, model: Model, commit: str, entry: dict[str, Any]) -> RemoteFile:
        path = safe_path(str(entry["path"]))
        url = f"{self._endpoint}/{model.repository}/resolve/{commit}/{quote(path)}"
        large = entry.get("lfs")
        return RemoteFile(path, url, str(large["oid"] if large else entry["oid"]), is_blob=not large)

    def _json(self, url: str) -> Any:
        answer = self._client.get(url)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Errors of HTTP, and of answers that are none, as one that says what to do."""
    remedy = (
        "Name another source (--from URL, HF_ENDPOINT), or copy the model's directory from a machine that has it: "
        "docs/models.md says where it belongs."
    )
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise ModelsUnreachable(f"{error.request.url} answered {error.response.status_code}. {remedy}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelsUnreachable(f"{url} cannot be reached ({type(error).__name__}). {remedy}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelsUnreachable(f"{url} answered something else ({type(error).__name__}). {remedy}") from None
