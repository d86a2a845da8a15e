"""The checkpoint on disk: found, checked, and loaded with `transformers`, which never asks the network here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ocr.engines.halving import is_out_of_memory
from quire.errors import EngineUnavailable, OutOfMemory
from quire.settings import Settings, set_default_environment

# The checkpoint's name, and its folder below `QUIRE_MODEL_DIR`.
NAME: Final = "GOT-OCR-2.0-hf"
ARCHITECTURE: Final = "got_ocr2"
VARIABLE: Final = "QUIRE_GOT_MODEL_DIR"

# transformers names every model that it knows where it does not know one.
_LONGEST_REASON: Final = 200
_DOWNLOAD: Final = "`quire models download --engine got` fetches it"
# Either of each: what `transformers` has called its files over time.
FILES: Final = (
    ("config.json",),
    ("tokenizer.json",),
    ("processor_config.json", "preprocessor_config.json"),
    ("model.safetensors", "model.safetensors.index.json"),
)


@dataclass(frozen=True)
class Loaded:
    """What reads pages: `GotOcr2Processor` and `GotOcr2ForConditionalGeneration`, and the package `torch`."""

    torch: Any
    processor: Any
    model: Any
    end_ids: list[int]


def directory_of(settings: Settings) -> Path:
    """Where the settings say that the checkpoint is; it may not be there."""
    return (settings.quire_got_model_dir or settings.quire_model_dir / NAME).absolute()


def check(directory: Path) -> None:
    """Refuse a directory that is not a checkpoint of GOT-OCR 2.0, before gigabytes are read.

    Raises:
        EngineUnavailable: what is missing, and what to do.
    """
    if not directory.is_dir():
        raise EngineUnavailable(
            f"GOT-OCR 2.0 needs its checkpoint, and there is no directory {directory}: {_DOWNLOAD}, or set {VARIABLE}."
        )
    missing = [" or ".join(names) for names in FILES if not any((directory / name).is_file() for name in names)]
    if missing:
        raise EngineUnavailable(f"{directory} has no {', '.join(missing)}: the checkpoint is incomplete. {_DOWNLOAD}.")
    try:
        architecture = json.loads((directory / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        architecture = None
    if architecture != ARCHITECTURE:
        raise EngineUnavailable(
            f"{directory} has a model of the kind {architecture!r}, not {ARCHITECTURE!r}. The checkpoint has to be in "
            f"the form that transformers reads, such as {NAME}: {_DOWNLOAD}."
        )


def digest(directory: Path) -> str:
    """SHA-256 over the files that decide the text, as hex.

    Raises:
        EngineUnavailable: they cannot be read.
    """
    total = hashlib.sha256()
    try:
        for path in sorted({*directory.glob("*.json"), *directory.glob("*.safetensors")}):
            with path.open("rb") as file:
                total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise EngineUnavailable(f"{error.filename} cannot be read: {error.strerror}.") from error
    return total.hexdigest()


def load(settings: Settings, threads: int) -> Loaded:
    """The model on the settings' device: bf16 on a GPU, 32-bit floats on a CPU.

    Raises:
        EngineUnavailable: a package or the checkpoint is missing or damaged, or the GPU cannot be used.
        OutOfMemory: it does not fit.
    """
    # First: `check` needs no torch, which takes seconds to import.
    directory = directory_of(settings)
    check(directory)
    torch, transformers = _packages()
    device = _device(torch, settings.ocr_device)
    torch.set_num_threads(threads)
    try:
        processor = transformers.AutoProcessor.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
        model, report = transformers.GotOcr2ForConditionalGeneration.from_pretrained(
            str(directory),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32 if device == "cpu" else torch.bfloat16,
            output_loading_info=True,
        )
        model = model.to(device).eval()
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"The model {NAME} needs more memory than there is on {device}.") from None
        # Plain exceptions of several libraries for a damaged file, another tokenizer and other shapes alike.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST_REASON]
        raise EngineUnavailable(f"{directory} cannot be loaded ({reason}). {_DOWNLOAD} again.") from error
    if report["missing_keys"]:
        # transformers would go on with random numbers in their place.
        raise EngineUnavailable(
            f"{directory}: the weights lack {len(report['missing_keys'])} of the model's tensors. {_DOWNLOAD} again."
        )
    objection = _objection(transformers, processor, model)
    if objection is not None:
        raise EngineUnavailable(f"{directory}: its files do not belong together, {objection}. {_DOWNLOAD} again.")
    processor.tokenizer.padding_side = "left"
    return Loaded(torch, processor, model, _end_ids(processor, model))


def _objection(transformers: Any, processor: Any, model: Any) -> str | None:
    """Why files that could all be read are not those of one model; the first page would fail on it."""
    if not isinstance(processor, transformers.GotOcr2Processor):
        return f"a {type(processor).__name__} prepares its pages"
    tokenizer = processor.tokenizer
    marks = (processor.message_start_token, processor.message_end_token, processor.image_token)
    unknown = [mark for mark in marks if mark not in tokenizer.get_vocab()]
    if unknown:
        return f"the tokenizer does not know {', '.join(unknown)}"
    if tokenizer.pad_token_id is None:
        return "the tokenizer has no token to pad with"
    written, read = processor.image_token_id, model.config.image_token_id
    if written != read:
        return f"pages are token {written} of the tokenizer and {read} of the model"
    made, taken = processor.image_processor.size["height"], model.config.vision_config.image_size
    return None if made == taken else f"pages are made {made} pixels high, and the model takes {taken}"


def _packages() -> tuple[Any, Any]:
    # A worker's processes are forked; its threads are those of torch.
    set_default_environment(TOKENIZERS_PARALLELISM="false")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EngineUnavailable(
            f"The engine got is not installed here ({error.name or error} is missing). "
            "Install apps/worker/requirements-got.txt."
        ) from error
    # Errors come as exceptions; what else it says is about other models and bars of its own.
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


def _device(torch: Any, device: str) -> str:
    """What torch calls a device."""
    if device == "cpu":
        return device
    index = int(device.partition(":")[2])
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise EngineUnavailable(
            f"Pages are to be read on {device} (PADDLEOCR_USE_GPU, PADDLEOCR_DEVICE), but torch {torch.__version__} "
            f"sees {count} GPUs. Check the driver (nvidia-smi), CUDA_VISIBLE_DEVICES, and that torch is built for CUDA."
        )
    return f"cuda:{index}"


def _end_ids(processor: Any, model: Any) -> list[int]:
    """The tokens that end an answer: the end of a message, and what the checkpoint itself names."""
    own = model.generation_config.eos_token_id
    named = own if isinstance(own, list) else [own]
    ids = [processor.tokenizer.convert_tokens_to_ids(processor.message_end_token), *named]
    return list(dict.fromkeys(int(each) for each in ids if each is not None))
