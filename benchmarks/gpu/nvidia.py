"""The GPUs of this machine and how busy they are, from `nvidia-smi`, which comes with the driver."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from types import TracebackType
from typing import Final, Self

_PROGRAM: Final = "nvidia-smi"
_GPU_FIELDS: Final = "index,name,memory.total,driver_version"
_SAMPLE_FIELDS: Final = "utilization.gpu,memory.used"
_SAMPLE_MILLISECONDS: Final = 200
_ANSWER_SECONDS: Final = 30


class NoGpu(Exception):
    """There is no GPU to measure on; the message says how that was found out."""


@dataclass(frozen=True)
class Gpu:
    """One GPU. `memory` is in MiB."""

    index: int
    name: str
    memory: int
    driver: str


@dataclass(frozen=True)
class Sample:
    """One moment: share of the time in which something ran on the GPU, in percent, and MiB in use (by anybody)."""

    utilisation: float
    memory: float


@dataclass(frozen=True)
class Usage:
    """What the samples of a measurement come to: mean utilisation in percent, most memory in MiB."""

    utilisation: float
    memory: float
    samples: int


def find_gpus() -> list[Gpu]:
    """The GPUs of this machine.

    Raises:
        NoGpu: there is none, or no driver that says so.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise NoGpu(f"There is no {_PROGRAM}: no NVIDIA driver is installed.")
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            check=True,
            text=True,
            timeout=_ANSWER_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise NoGpu(f"{_PROGRAM} failed: {(error.stdout + error.stderr).strip()}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoGpu(f"{_PROGRAM} failed: {type(error).__name__}") from None
    gpus = [gpu for line in answer.stdout.splitlines() if (gpu := parse_gpu(line)) is not None]
    if not gpus:
        raise NoGpu(f"{_PROGRAM} names no GPU: {answer.stdout.strip()}")
    return gpus


def parse_gpu(line: str) -> Gpu | None:
    """A line of `nvidia-smi`'s list; None if it is something else, such as "No devices were found"."""
    fields = [field.strip() for field in line.split(",")]
    try:
        index, name, memory, driver = fields
        return Gpu(int(index), name, int(memory), driver)
    except ValueError:
        return None


def parse_sample(line: str) -> Sample | None:
    """A line of `nvidia-smi`'s samples; None if a value is missing (`[N/A]`), as on a GPU that is shared out."""
    try:
        utilisation, memory = (float(field) for field in line.split(","))
    except ValueError:
        return None
    return Sample(utilisation, memory)


def summarise(samples: Sequence[Sample]) -> Usage | None:
    """None where there are no samples."""
    if not samples:
        return None
    utilisation = mean(sample.utilisation for sample in samples)
    return Usage(round(utilisation, 1), max(sample.memory for sample in samples), len(samples))


class Sampler:
    """Samples one GPU five times a second until the `with` block ends; `usage()` then says what was seen."""

    def __init__(self, gpu: int) -> None:
        self._gpu = gpu
        self._samples: list[Sample] = []

    def usage(self) -> Usage | None:
        """What was seen so far; None if nothing was."""
        return summarise(self._samples)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                shutil.which(_PROGRAM) or _PROGRAM,
                f"--query-gpu={_SAMPLE_FIELDS}",
                "--format=csv,noheader,nounits",
                f"--loop-ms={_SAMPLE_MILLISECONDS}",
                f"--id={self._gpu}",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self._samples += (sample for line in lines if (sample := parse_sample(line)) is not None)
