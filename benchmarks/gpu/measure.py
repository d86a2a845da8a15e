"""One point of the curve: processes that read at the same time, and the GPU sampled meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.child import Child, ChildEnded
from benchmarks.gpu.curve import Point, Reading, Setup
from benchmarks.gpu.nvidia import Sampler
from benchmarks.gpu.reader import STRUCTURE, Job


class CannotMeasure(Exception):
    """This setup does not work here; the message is the engine's or the process's own."""


def measure(
    setup: Setup, *, pdf: Path, gpu: int, seconds: float, renderers: int, logs: Path, on_gpu: bool = True
) -> Point:
    """Read the pages of `pdf` for `seconds` on GPU number `gpu`. `renderers`: processes that render, for each reader.

    Without `on_gpu` the CPU reads: not for figures, but to try all of this where there is no GPU.

    Raises:
        CannotMeasure: the engine cannot be used, or a process ended.
    """
    environment = {
        "PADDLEOCR_DEVICE": f"gpu:{gpu}" if on_gpu else "cpu",
        "PADDLEOCR_PAGE_BATCH": str(setup.batch),
    }
    if setup.engine != STRUCTURE:
        environment["QUIRE_OCR_ENGINE"] = setup.engine
    job = Job(setup.engine, str(pdf.absolute()), setup.batch, setup.host, renderers, on_gpu)
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                Child(
                    "benchmarks.gpu.reader",
                    json.dumps(asdict(job)),
                    log=logs / f"reader-{number}.log",
                    environment=environment,
                )
            )
            for number in range(setup.processes)
        ]
        _ask_all(children, {"seconds": None})
        with Sampler(gpu) as sampler:
            answers = _ask_all(children, {"seconds": seconds})
        return point_of(setup, answers, sampler)


def point_of(setup: Setup, answers: Sequence[Any], sampler: Sampler) -> Point:
    """The point that the processes' answers and the samples make."""
    batches = [answer["engine"].get("page_batch") for answer in answers]
    return Point(
        setup,
        tuple(Reading(answer["pages"], round(answer["seconds"], 3)) for answer in answers),
        sampler.usage(),
        min((batch for batch in batches if batch is not None), default=None),
    )


def _ask_all(children: Sequence[Child], request: Any) -> list[Any]:
    with ThreadPoolExecutor(len(children)) as threads:
        try:
            answers = list(threads.map(lambda child: child.ask(request), children))
        except ChildEnded as error:
            raise CannotMeasure(str(error)) from None
    for answer in answers:
        if "unavailable" in answer:
            raise CannotMeasure(answer["unavailable"])
    return answers
