"""`python -m benchmarks.uploads`: how long the API takes to accept documents that arrive at once.

Photos of about 100 kB, each with bytes of its own, are sent by many clients at the same time to the whole system, which
reads them meanwhile. Reported are the seconds until an upload was accepted and until the last document was read. Forms
are written beforehand: whoever sends them shares the machine with what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import aiohttp
import httpx
import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console

from benchmarks.arguments import positive
from benchmarks.machine import machine_facts
from benchmarks.receipts import ROOT
from quire.embedded.processes import free_port
from quire.embedded.stack import Stack

console = Console(highlight=False)
_BYTES: Final = 100_000
_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Run:
    """Seconds; `statuses` counts the answers to uploads by HTTP status, `ended` the documents by how they ended."""

    uploads: int
    concurrency: int
    kilobytes: float
    load_before: float
    median: float
    p99: float
    slowest: float
    accepted_after: float
    read_after: float
    statuses: dict[str, int]
    ended: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. The exit status: 1 if an upload was refused or a document not read."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _parse(arguments)
    photos = [photo(number) for number in range(options.uploads)]
    with (
        tempfile.TemporaryDirectory(prefix="quire-bench-") as folder,
        Stack(Path(folder) / "home", free_port(), env={"QUIRE_REUSE_PAGES": "false"}) as stack,
    ):
        run = asyncio.run(_measure(stack.api_url, photos, options.concurrency))
    console.print(
        f"{run.uploads} uploads of {run.kilobytes:.0f} kB, {run.concurrency} at a time: "
        f"accepted in {run.median * 1000:.0f}"
        f" ms (median), {run.p99 * 1000:.0f} ms (p99); all after {run.accepted_after:.1f} s, read after "
        f"{run.read_after:.1f} s; answers {run.statuses}, documents {run.ended}"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"machine": machine_facts(), "uploads": asdict(run)}, indent=2) + "\n")
    return 0 if run.statuses == {"202": run.uploads} and run.ended == {"completed": run.uploads} else 1


def photo(number: int) -> bytes:
    """A JPEG of about 100 kB with a line of text and noise, which keeps it from being smaller."""
    noise = np.random.default_rng(number).integers(120, 255, (320, 420, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((840, 640), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 40, 800, 140), fill="white")
    draw.text((60, 60), f"Upload number {number:05d}", fill="black", font_size=48)
    for quality in range(90, 20, -5):
        content = io.BytesIO()
        image.save(content, "JPEG", quality=quality)
        if content.tell() <= _BYTES:
            break
    return content.getvalue()


async def _measure(url: str, photos: Sequence[bytes], concurrency: int) -> Run:
    load = os.getloadavg()[0]
    turns = asyncio.Semaphore(concurrency)
    forms = [_form(f"photo-{number}.jpg", each) for number, each in enumerate(photos)]
    async with aiohttp.ClientSession(
        url, connector=aiohttp.TCPConnector(limit=concurrency), timeout=aiohttp.ClientTimeout(60)
    ) as api:
        # The first request of a process makes its connections.
        async with api.get("/health") as health:
            health.raise_for_status()
        started = time.perf_counter()
        answers = await asyncio.gather(*(_upload(api, turns, form) for form in forms))
        accepted_after = time.perf_counter() - started
        ids = [answer["id"] for status, answer, _ in answers if status == httpx.codes.ACCEPTED]
        ended = [await _end_of(api, document) for document in reversed(ids)]
        read_after = time.perf_counter() - started
    seconds = [each for _, _, each in answers]
    return Run(
        len(photos), concurrency, sum(map(len, photos)) / len(photos) / 1000, load,
        median(seconds), quantiles(seconds, n=100)[98], max(seconds), accepted_after, read_after,
        dict(Counter(str(status) for status, _, _ in answers)), dict(Counter(ended)),
    )  # fmt: skip


def _form(name: str, content: bytes) -> tuple[bytes, str]:
    """A multipart form with a file, and its media type."""
    request = httpx.Request("POST", "http://localhost", files={"file": (name, content)})
    return request.read(), request.headers["Content-Type"]


async def _upload(
    api: aiohttp.ClientSession, turns: asyncio.Semaphore, form: tuple[bytes, str]
) -> tuple[int, Any, float]:
    """The status of an upload's answer, the answer, and the seconds until it came."""
    body, media_type = form
    async with turns:
        started = time.perf_counter()
        async with api.post("/api/v1/documents", data=body, headers={"Content-Type": media_type}) as answer:
            document = await answer.json()
        return answer.status, document, time.perf_counter() - started


async def _end_of(api: aiohttp.ClientSession, document: str) -> str:
    while True:
        async with api.get(f"/api/v1/documents/{document}") as answer:
            status = str((await answer.json())["status"])
        if status not in ("queued", "running"):
            return status
        await asyncio.sleep(_POLL_SECONDS)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.uploads", description=__doc__)
    parser.add_argument("--uploads", type=positive, default=200)
    parser.add_argument("--concurrency", type=positive, default=32)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "uploads.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
