"""Reading pictures of lines with the lean engine's recogniser alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ocr.engines.lean import recognition
from ocr.engines.lean.alignment import Steps
from ocr.engines.lean.network import Network
from tests.pdfs import Pixels


def read_lines(lines: Sequence[Pixels], network: Network, characters: Sequence[str] = ()) -> list[Steps]:
    """What the recogniser says about lines (48, W, 3) of any widths, in their order: batches of them on two threads."""
    batches = recognition.batches([line.shape[1] for line in lines], network.batch_pixels)
    answers: dict[int, Steps] = {}
    with ThreadPoolExecutor(2) as executor:
        found = executor.map(lambda batch: recognition.read([lines[i] for i in batch], network, characters), batches)
        for batch, steps in zip(batches, found, strict=True):
            answers.update(zip(batch, steps, strict=True))
    return [answers[index] for index in range(len(lines))]
