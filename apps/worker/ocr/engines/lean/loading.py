"""From settings to networks that are ready to run."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Loaded:
    """What reading in one script set needs. `characters` are those of the recogniser's `best`."""

    detector: Network
    recognizer: Network
    characters: list[str]
    guard: ScriptGuard


def runtime_for(settings: Settings) -> Runtime:
    """The runtime these settings lead to: OpenVINO is for the CPU."""
    return "onnxruntime" if settings.uses_gpu else available_runtime()


def load(settings: Settings, script: Script, threads: int, *, precise: bool) -> Loaded:
    """Both networks, loaded for this script set.

    Raises:
        EngineUnavailable: a library, a model or the GPU is missing, or a model is damaged.
    """
    runtime = runtime_for(settings)
    prepared = prepare(model_files(settings), script, runtime, settings.quire_model_dir, precise=precise)
    if runtime == "openvino":
        detector, recognizer = _openvino(prepared, threads, settings.quire_model_dir.absolute() / "lean" / "compiled")
    else:
        detector, recognizer = _onnxruntime(prepared, threads, settings)
    guard = ScriptGuard(prepared.head, prepared.characters, prepared.classes, prepared.space)
    return Loaded(detector, recognizer, [prepared.characters[index] for index in prepared.classes], guard)


def _openvino(prepared: Prepared, threads: int, cache: Path) -> tuple[Network, Network]:
    # A page is one inference on all threads, lines are many, each on a thread of its own.
    detector = OpenVinoNetwork(prepared.detection, threads=threads, streams=1, cache=cache, batch_pixels=_CPU_BATCH)
    recognizer = OpenVinoNetwork(
        prepared.recognition, threads=threads, streams=threads, cache=cache, batch_pixels=_CPU_BATCH
    )
    return detector, recognizer


def _onnxruntime(prepared: Prepared, threads: int, settings: Settings) -> tuple[Network, Network]:
    providers: list[Any] = ["CPUExecutionProvider"]
    batch_pixels = _CPU_BATCH
    if settings.uses_gpu:
        providers = gpu_providers(settings.ocr_device, settings.quire_gpu_provider, settings.quire_model_dir)
        batch_pixels = _GPU_BATCH
    detector = OnnxRuntimeNetwork(prepared.detection, threads=threads, providers=providers, batch_pixels=batch_pixels)
    recognizer = OnnxRuntimeNetwork(prepared.recognition, threads=1, providers=providers, batch_pixels=batch_pixels)
    return detector, recognizer
