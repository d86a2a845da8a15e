"""Results as a platform can carry them: JSON that everybody reads, of a size that is not lost on the way.

RunPod's worker loop drops what it cannot serialise, and the platform what is too large; both without a word to whoever
waits for it.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

from quire.settings import Settings
from quire.storage import ObjectStore
from quire.storage.base import RESULTS

# What RunPod takes in answer to `/run` is 10 MB, with what it wraps around a result.
_PLATFORM_BYTES: Final = 9_500_000
# What a result has one of for each page or line.
_BULK: Final = ("text", "detections", "pages", "errors")


def carried(result: Any, job_id: str, settings: Settings, store: ObjectStore) -> Any:
    """The result, or, where it has too many bytes, what remains of it without its pages and the key of all of it.

    Too many are more than `QUIRE_MAX_INLINE_RESULT_BYTES`, or than RunPod takes.

    Raises:
        ValueError: it has a number that is none.
        StorageError: see `ObjectStore.put`.
    """
    clean = without_surrogates(result)
    encoded = json.dumps(clean, ensure_ascii=False, allow_nan=False).encode()
    if len(encoded) <= min(settings.quire_max_inline_result_bytes, _PLATFORM_BYTES):
        return clean
    place = {"result_bucket": settings.default_bucket, "result_key": f"{RESULTS}{job_id}.json"}
    if "result_key" not in clean:
        store.put(place["result_bucket"], place["result_key"], io.BytesIO(encoded), "application/json")
    return place | {name: value for name, value in clean.items() if name not in _BULK}


def without_surrogates(value: Any) -> Any:
    """The same value, with U+FFFD in place of halves of characters, which UTF-8 cannot write."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(name): without_surrogates(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_surrogates(part) for part in value]
    return value
