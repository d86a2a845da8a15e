"""Several models, from the source that the settings or the caller name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx

from ocr.model_store.catalogue import Model
from ocr.model_store.checksums import verify
from ocr.model_store.download import download
from ocr.model_store.sources import Folder, Hub, Source
from quire.errors import EngineUnavailable, ModelDamaged, ModelsUnreachable
from quire.settings import Settings

_CONNECT_SECONDS = 20
_SILENCE_SECONDS = 60


def fetch(settings: Settings, models: Iterable[Model], base: str | None = None) -> Iterator[tuple[Model, bool]]:
    """Each model once it is here, and whether it had to be fetched: from `base`, else from the hub (`HF_ENDPOINT`).

    Raises:
        ModelsUnreachable: the source does not answer or does not have it, or `HF_HUB_OFFLINE` forbids to ask.
        ModelDamaged: what came is not what was announced, or a model that comes with a package is damaged.
        EngineUnavailable: a package with models is not installed, or the directory cannot be written.
    """
    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        source = Hub(client, settings.hf_endpoint) if base is None else Folder(client, base)
        for model in models:
            yield model, _have(client, source, model, forbidden=base is None and settings.hf_hub_offline)


def _have(client: httpx.Client, source: Source, model: Model, *, forbidden: bool) -> bool:
    verdict = verify(model)
    if verdict.outcome in ("ok", "unknown"):
        return False
    if model.repository is None and model.needs:
        raise EngineUnavailable(
            f"{model.place} is missing or incomplete, and named for {model.name} (PADDLEOCR_PIPELINE_CONFIG, or "
            "PADDLEOCR_DET_MODEL_DIR and PADDLEOCR_REC_MODEL_DIR). Put the model there, or do not name it."
        )
    if model.repository is None:
        if verdict.outcome == "damaged":
            raise ModelDamaged(f"{model.place}: {verdict.found}. Install the package that it belongs to again.")
        raise EngineUnavailable(f"{model.place} is missing. Install the package that it belongs to again.")
    if forbidden:
        raise ModelsUnreachable(
            f"{model.name} is not in {model.place}, and HF_HUB_OFFLINE forbids to fetch it. Unset it, name another "
            "source (--from URL), or copy the directory there from a machine that has it."
        )
    return download(client, source, model)
