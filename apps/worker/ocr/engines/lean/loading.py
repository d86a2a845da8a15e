"""From settings to networks that are ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ocr.engines.lean.files import model_files
from ocr.engines.lean.network import (
    Network,
    OnnxRuntimeNetwork,
    OpenVinoNetwork,
    Runtime,
    available_runtime,
    gpu_providers,
)
from ocr.engines.lean.prepared import Prepared, prepare
from ocr.engines.lean.scripts import Script, ScriptGuard
from quire.settings import Settings

# Pixels along all lines of a batch. A CPU gains nothing from more, a GPU needs many to fill it.
_CPU_BATCH: Final = 1280
_GPU_BATCH: Final = 65_536
# Layers at shapes seen before whose code OpenVINO keeps. For the detector that is much memory a shape and hardly any
# time; the recogniser, at its hundred shapes, is clearly slower without.
_KEPT_OF_DETECTION: Final = 0
_KEPT_OF_LINES: Final = 5_000


# Loads a network for one inference at a time on all threads, as the detector is, or for one on each thread at once.
Make = Callable[[Path, bool], Network]


@dataclass(frozen=True)
class Loaded:
    """What reading in one script set needs. `characters` are those of the recogniser's `best`.

    Where they are all that the recogniser knows there is nothing to guard.
    """

    detector: Network
    recognizer: Network
    characters: list[str]
    guard: ScriptGuard | None


def runtime_for(settings: Settings) -> Runtime:
    """The runtime these settings lead to: OpenVINO is for the CPU."""
    return "onnxruntime" if settings.uses_gpu else available_runtime()


def load(settings: Settings, script: Script, threads: int, *, precise: bool) -> Loaded:
    """The networks, loaded for this script set.

    Raises:
        EngineUnavailable: a library, a model or the GPU is missing, or a model is damaged.
    """
    runtime = runtime_for(settings)
    prepared = prepare(model_files(settings), script, runtime, settings.quire_model_dir, precise=precise)
    if runtime == "openvino":
        make = _openvino(threads, settings.quire_model_dir.absolute() / "lean" / "compiled")
    else:
        make = _onnxruntime(threads, settings)
    return assemble(prepared, make)


def assemble(prepared: Prepared, make: Make) -> Loaded:
    """Load the prepared files with `make`."""
    guard = None
    if prepared.guard and prepared.head:
        guard = ScriptGuard(make(prepared.guard, True), make(prepared.head, True), prepared.characters)
    characters = [prepared.characters[index] for index in prepared.classes]
    return Loaded(make(prepared.detection, False), make(prepared.recognition, True), characters, guard)


def _openvino(threads: int, cache: Path) -> Make:
    return lambda path, parallel: OpenVinoNetwork(
        path,
        threads=threads,
        streams=threads if parallel else 1,
        cache=cache,
        batch_pixels=_CPU_BATCH,
        kept=_KEPT_OF_LINES if parallel else _KEPT_OF_DETECTION,
    )


def _onnxruntime(threads: int, settings: Settings) -> Make:
    providers: list[Any] = ["CPUExecutionProvider"]
    batch_pixels = _CPU_BATCH
    if settings.uses_gpu:
        providers = gpu_providers(settings.ocr_device, settings.quire_gpu_provider, settings.quire_model_dir)
        batch_pixels = _GPU_BATCH
    return lambda path, parallel: OnnxRuntimeNetwork(
        path, threads=1 if parallel else threads, providers=providers, batch_pixels=batch_pixels
    )
