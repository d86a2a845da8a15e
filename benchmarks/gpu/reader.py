"""One process that reads pages on the GPU as fast as it can. Run as a module it answers `benchmarks.gpu.measure`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import serve
from benchmarks.gpu.pages import Host, batches
from benchmarks.gpu.structure import write_config
from quire.contracts import Mode
from quire.errors import EngineUnavailable
from quire.pages import PageImage
from quire.settings import Settings, get_settings

if TYPE_CHECKING:
    from ocr.engines import OcrEngine


# What the benchmark calls PP-StructureV3, which no setting chooses: payloads ask for it.
STRUCTURE: Final = "structure"


@dataclass(frozen=True)
class Job:
    """What this process does: pages of `pdf` in lists of `batch`, rendered as `host` says, read by `engine`.

    `engine` is one of `QUIRE_OCR_ENGINE`'s, or `structure` for PP-StructureV3.
    """

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
    engine = _structure(job, settings) if job.engine == STRUCTURE else _engine(job, settings)
    device = str(engine.describe().get("device", "unknown"))
    if job.on_gpu and not device.startswith(("gpu", "cuda")):
        raise EngineUnavailable(f"{job.engine} reads on {device} here.")
    return engine


def _engine(job: Job, settings: Settings) -> OcrEngine:
    from ocr.engines import create_engine

    engine = create_engine(settings)
    if engine.name != job.engine:
        raise EngineUnavailable(f"QUIRE_OCR_ENGINE={job.engine} gives the engine {engine.name}.")
    engine.warm_up()
    return engine


def _structure(job: Job, settings: Settings) -> OcrEngine:
    from ocr.engines.structure import StructureEngine

    with tempfile.TemporaryDirectory(prefix="quire-bench-gpu-") as folder:
        config = write_config(settings, job.batch, Path(folder))
        engine = StructureEngine(settings.model_copy(update={"paddleocr_pipeline_config": config}))
        engine.warm_up()
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
    from ocr.engines import ReadRequest, read_images
    from ocr.languages import merge_languages

    mode: Mode = "structure" if job.engine == STRUCTURE else "text"
    asked = ReadRequest(merge_languages(settings.paddleocr_lang, ()), mode=mode)
    pages = batches(Path(job.pdf), job.batch, job.host, job.renderers)

    def answer(request: Any) -> Any:
        if request["seconds"] is None:
            # The first batch of a size is slow: kernels are chosen, memory is reserved.
            read_images(engine, next(pages), asked)
            return {"ready": True}
        with closing(pages):
            measured = read_for(request["seconds"], pages, lambda batch: read_images(engine, batch, asked))
        return measured | {"engine": engine.describe()}

    return answer


if __name__ == "__main__":
    serve(_prepare)
