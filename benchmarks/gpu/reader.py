"""One process that reads pages on the GPU as fast as it can. Run as a module it answers `benchmarks.gpu.measure`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import serve
from benchmarks.gpu.pages import Host, batches
from quire.errors import EngineUnavailable
from quire.pages import PageImage
from quire.settings import Settings, get_settings

if TYPE_CHECKING:
    from ocr.engines import OcrEngine


@dataclass(frozen=True)
class Job:
    """What this process does: pages of `pdf` in lists of `batch`, rendered as `host` says, read by `engine`."""

    engine: str
    pdf: str
    batch: int
    host: Host
    renderers: int
    on_gpu: bool = True


def create(job: Job, settings: Settings) -> OcrEngine:
    """The engine, loaded.

    Raises:
        EngineUnavailable: these settings give another one, or one that is not on the GPU.
    """
    from ocr.engines import create_engine

    engine = create_engine(settings)
    if engine.name != job.engine:
        raise EngineUnavailable(f"QUIRE_OCR_ENGINE={job.engine} gives the engine {engine.name}.")
    engine.warm_up()
    device = str(engine.describe().get("device", "unknown"))
    if job.on_gpu and not device.startswith(("gpu", "cuda")):
        raise EngineUnavailable(f"{job.engine} reads on {device} here.")
    return engine


def read_for(seconds: float, pages: Iterator[Sequence[PageImage]], read: Callable[[Sequence[PageImage]], Any]) -> Any:
    """Read whole batches until `seconds` are over; the number of pages and the seconds it took."""
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds or count == 0:
        batch = next(pages)
        read(batch)
        count += len(batch)
    return {"pages": count, "seconds": passed}


def _prepare() -> Callable[[Any], Any]:
    job = Job(**json.loads(sys.argv[1]))
    settings = get_settings()
    try:
        engine = create(job, settings)
    except EngineUnavailable as error:
        message = error.message
        return lambda _: {"unavailable": message}
    from ocr.languages import merge_languages

    languages = merge_languages(settings.paddleocr_lang, ())
    pages = batches(Path(job.pdf), job.batch, job.host, job.renderers)

    def answer(request: Any) -> Any:
        if request["seconds"] is None:
            # The first batch of a size is slow: kernels are chosen, memory is reserved.
            engine.recognize(next(pages), languages)
            return {"ready": True}
        with closing(pages):
            measured = read_for(request["seconds"], pages, lambda batch: engine.recognize(batch, languages))
        return measured | {"engine": engine.describe()}

    return answer


if __name__ == "__main__":
    serve(_prepare)
