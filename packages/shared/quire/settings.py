"""The only place that reads environment variables. A field's name in upper case is its variable.

`get_settings()` reads them once per process; tests build `Settings(...)` with keyword arguments instead.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, Json, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quire.errors import BucketNotAllowed, SettingsError

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Every variable of the README's environment table. Secrets are `SecretStr`: they do not show in logs or `repr`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    # Redis: one URL for both, or one for each.
    redis_url: SecretStr | None = None
    celery_broker_url: SecretStr | None = None
    celery_result_backend: SecretStr | None = None

    # Queue names.
    celery_queue: str | None = None
    celery_default_queue: str | None = None
    celery_ocr_queue: str = "ocr"

    # Object storage. Without S3_BUCKET objects live in a folder.
    s3_endpoint_url: str | None = None
    s3_region: str | None = None
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_bucket: str | None = None
    quire_object_dir: Path = Path(".quire/objects")
    # Buckets that payloads may name besides the default one: a comma-separated list, or * for any.
    quire_buckets: str = ""

    # Hosts and networks that addresses named by users may lead to although they are not public.
    quire_outbound_allow: str = ""

    # Postgres. Without it the OCR tasks return their result instead of writing it.
    database_url: SecretStr | None = None

    # PaddleOCR.
    paddleocr_lang: str = "en"
    paddleocr_use_gpu: bool = False
    paddleocr_device: str | None = Field(None, pattern=r"^(cpu|gpu(:\d+)?)$")
    paddleocr_page_batch: int | None = Field(None, gt=0)
    paddleocr_rec_batch: int | None = Field(None, gt=0)
    paddleocr_enable_hpi: bool = False
    paddleocr_min_confidence: float = Field(0.5, ge=0, le=1)
    paddleocr_pdf_dpi: int = Field(180, ge=36, le=600)
    paddleocr_det_model_dir: Path | None = None
    paddleocr_rec_model_dir: Path | None = None
    paddleocr_cls_model_dir: Path | None = None
    paddleocr_pipeline_config: Path | None = None
    # The worker knows which there are.
    quire_ocr_engine: str | None = Field(None, pattern=r"^[a-z][a-z0-9_-]*$")
    ocr_engine: str | None = Field(None, pattern=r"^[a-z][a-z0-9_-]*$")
    quire_ocr_preset: Literal["fast", "balanced", "accurate"] = "balanced"
    quire_gpu_provider: Literal["cuda", "tensorrt"] = "cuda"
    quire_cpu_engine: Literal["onnxruntime", "paddle"] = "onnxruntime"
    quire_models: Literal["bundled", "download"] | None = None
    quire_model_dir: Path = Path(".quire/models")
    quire_ocr_threads: int = Field(0, ge=0)
    # GOT-OCR 2.0.
    quire_got_model_dir: Path | None = None
    # Where models are downloaded from, and whether nothing may be.
    hf_endpoint: str = "https://huggingface.co"
    hf_hub_offline: bool = False
    quire_got_max_tokens: int = Field(4096, gt=0, le=30_000)

    # Limits on input, checked before memory is spent.
    quire_max_bytes: int = Field(200 * MIB, gt=0)
    quire_max_pages: int = Field(10_000, gt=0)
    quire_max_image_pixels: int = Field(100_000_000, gt=0)
    quire_max_render_pixels: int = Field(25_000_000, gt=0)
    quire_max_inline_result_bytes: int = Field(MIB, gt=0)

    # The page flow.
    quire_lease_pages: int = Field(4, gt=0)
    quire_lease_seconds: int = Field(45, gt=0)
    quire_page_attempts: int = Field(3, gt=0)
    quire_page_seconds: float = Field(120, gt=0)
    quire_ticket_seconds: int = Field(60, ge=0)
    quire_turn_seconds: int = Field(4, ge=0)
    quire_document_parallelism: int = Field(4, gt=0)
    quire_dispatch_window: int = Field(1000, gt=0)
    quire_reconcile_seconds: int = Field(15, gt=0)
    quire_reuse_pages: bool = True
    quire_result_retention: int = Field(7, ge=0)

    # Study aids: any server that speaks OpenAI's chat completions. Without a key there are none.
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-4.1-mini"
    quire_llm_context_tokens: int = Field(32_000, ge=2000)
    quire_llm_output_tokens: int = Field(4000, ge=256)
    quire_llm_concurrency: int = Field(4, gt=0, le=64)
    quire_llm_timeout_seconds: float = Field(120, gt=0, le=300)
    quire_llm_attempts: int = Field(4, gt=0, le=10)
    quire_llm_document_tokens: int | None = Field(None, gt=0)
    quire_llm_owner_tokens: int | None = Field(None, gt=0)
    # In the currency of your choice, of a million tokens.
    quire_llm_input_price: float | None = Field(None, ge=0)
    quire_llm_output_price: float | None = Field(None, ge=0)

    # Processes.
    celery_concurrency: int = Field(1, gt=0)
    quire_runtime_dir: Path = Path(".quire/run")
    quire_source_cache_bytes: int = Field(2 * 1024 * MIB, ge=0)
    quire_warm_up_seconds: int = Field(180, gt=0)
    quire_drain_seconds: float = Field(60, gt=0)
    quire_stall_seconds: float = Field(60, gt=0)
    quire_signing_key: SecretStr | None = Field(None, min_length=16)
    quire_memory_limit: int | None = Field(None, ge=0)
    quire_heartbeat_seconds: float = Field(10, gt=0)

    # A worker on a rented pod, which ends itself when nobody else does; the platform sets the first one.
    runpod_pod_id: str | None = None
    quire_pod_idle_seconds: float = Field(0, ge=0)
    quire_pod_lifetime_seconds: float | None = Field(None, gt=0)

    # Rented capacity: of which kind, when, and how much (quire.burst.policy).
    quire_burst: Literal["off", "pods", "serverless"] = "off"
    # Part of the names of pods: deployments that share an account need different ones. No hyphens, or the names of one
    # could begin like those of another.
    quire_burst_deployment: str = Field("main", pattern=r"^[a-z0-9]{1,24}$")
    quire_burst_tick_seconds: float = Field(15, gt=0)
    # What a pod takes for a page, until it has been seen.
    quire_burst_page_seconds: float = Field(0.5, gt=0)
    runpod_api_key: SecretStr | None = None
    runpod_api_base_url: str = "https://api.runpod.io"
    quire_burst_cold_start_seconds: float = Field(90, gt=0)
    quire_burst_target_seconds: float = Field(60, gt=0)
    quire_burst_oldest_seconds: float = Field(180, gt=0)
    quire_burst_polls: int = Field(1, ge=1)
    quire_burst_boot_seconds: float = Field(600, gt=0)
    quire_burst_idle_seconds: float = Field(120, ge=0)
    quire_burst_max_pods: int = Field(4, ge=0)
    quire_burst_lifetime_seconds: float = Field(21_600, gt=0)
    # USD.
    quire_burst_max_per_hour: float = Field(5, ge=0)
    quire_burst_max_per_day: float = Field(25, ge=0)

    # Rented capacity: pods. The first type that is on offer is taken.
    runpod_pod_gpu_types: str = "NVIDIA GeForce RTX 4090,NVIDIA RTX A5000,NVIDIA L4"
    runpod_pod_image: str | None = None
    runpod_pod_template: str | None = None
    runpod_pod_cloud: Literal["SECURE", "COMMUNITY", "ALL"] = "SECURE"
    # The driver's, at least: with an older one the container never starts.
    runpod_pod_cuda: str = Field("12.6", pattern=r"^\d+\.\d+$")
    runpod_pod_disk_gb: int = Field(20, gt=0)
    runpod_pod_registry_auth_id: str | None = None
    # USD an hour that a pod may cost.
    runpod_pod_max_price: float = Field(1.0, gt=0)
    # Variables of the pods, as a JSON object.
    runpod_pod_env: Json[dict[str, SecretStr]] = Field("{}", validate_default=True)

    # Rented capacity: a serverless endpoint.
    runpod_endpoint_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]+$")
    runpod_endpoint_base_url: str = "https://api.runpod.ai/v2"
    # USD that a worker of the endpoint costs.
    runpod_serverless_price_per_hour: float = Field(1.5, ge=0)
    quire_burst_remote_database: bool = True
    quire_burst_jobs: int = Field(20, gt=0)
    quire_burst_document_jobs: int = Field(4, gt=0)
    quire_burst_job_pages: int = Field(50, gt=0, le=150)
    quire_burst_job_seconds: int = Field(600, ge=5, le=86_400)
    quire_burst_queue_seconds: int = Field(300, ge=10)
    quire_burst_patience_seconds: float = Field(10, ge=0)

    # What can be seen from outside.
    quire_log_format: Literal["text", "json"] = "text"
    quire_metrics_port: int | None = Field(None, gt=0, lt=65536)
    # Either one turns traces on; OpenTelemetry reads these and its other variables itself.
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None

    # Who may call the API.
    quire_auth: Literal["required", "off"] = "required"

    # The command line.
    quire_api_url: str = "http://127.0.0.1:8000"
    quire_api_key: SecretStr | None = None

    @property
    def has_broker(self) -> bool:
        """Whether a variable names the broker, which is else looked for on this machine."""
        return (self.celery_broker_url or self.redis_url) is not None

    @property
    def broker_url(self) -> str:
        """The broker's URL: `CELERY_BROKER_URL`, else `REDIS_URL`, else a Redis on this machine."""
        return _first_secret(self.celery_broker_url, self.redis_url, default="redis://127.0.0.1:6379/0")

    @property
    def result_backend_url(self) -> str:
        """The result backend's URL: `CELERY_RESULT_BACKEND`, else `REDIS_URL`, else the broker's."""
        return _first_secret(self.celery_result_backend, self.redis_url, default=self.broker_url)

    @property
    def default_queue(self) -> str:
        """The queue of everything but OCR: `CELERY_DEFAULT_QUEUE`, else `CELERY_QUEUE`, else `default`."""
        return self.celery_default_queue or self.celery_queue or "default"

    @property
    def ocr_queue(self) -> str:
        """The queue of the three OCR tasks: `CELERY_OCR_QUEUE`, else `ocr`."""
        return self.celery_ocr_queue

    @property
    def consumed_queue(self) -> str:
        """The queue of a worker that is started without `-Q`: `CELERY_QUEUE`, else the default queue."""
        return self.celery_queue or self.default_queue

    @property
    def ocr_device(self) -> str:
        """Where pages are read: `cpu`, or `gpu:N` for the GPU of that index.

        `PADDLEOCR_DEVICE`, else GPU 0 with `PADDLEOCR_USE_GPU`, else the CPU.
        """
        device = self.paddleocr_device or ("gpu" if self.paddleocr_use_gpu else "cpu")
        return "gpu:0" if device == "gpu" else device

    @property
    def uses_gpu(self) -> bool:
        """Whether pages are read on a GPU."""
        return self.ocr_device != "cpu"

    @property
    def sqlalchemy_url(self) -> str | None:
        """`DATABASE_URL` with the psycopg 3 driver named, or None. `postgres://` and `postgresql://` are both taken."""
        if self.database_url is None:
            return None
        scheme, separator, rest = self.database_url.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in ("postgres", "postgresql"):
            raise SettingsError(
                "DATABASE_URL must start with postgresql:// (Postgres is the only database Quire uses)."
            )
        return f"postgresql+psycopg://{rest}"

    @property
    def default_bucket(self) -> str:
        """The bucket used when a payload names none: `S3_BUCKET`, else `quire` (a folder)."""
        return self.s3_bucket or "quire"

    def readable_bucket(self, named: str | None) -> str:
        """The bucket a payload names, or the default one.

        Raises:
            BucketNotAllowed: it is neither the default one nor among `QUIRE_BUCKETS`: whoever can queue a task must not
                read whatever these credentials can.
        """
        named_here = {bucket.strip() for bucket in self.quire_buckets.split(",")} - {""}
        allowed = named_here | {self.default_bucket}
        if named is None or named in allowed or "*" in allowed:
            return named or self.default_bucket
        raise BucketNotAllowed(f"This worker does not read from bucket {named!r}. Add it to QUIRE_BUCKETS.")


def _first_secret(*candidates: SecretStr | None, default: str) -> str:
    return _checking_certificates(next((c.get_secret_value() for c in candidates if c is not None), default))


def _checking_certificates(url: str) -> str:
    """A `rediss://` URL says what is checked: Celery refuses one that does not, so the safe choice is added."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: naming each variable that cannot be used and why, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        # Values are left out: a mistyped URL may hold a password.
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc']).upper()}: {issue['msg']}"
            for issue in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"Environment variables that cannot be used: {problems}") from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from the environment at the first call."""
    return load_settings()


def set_default_environment(**values: str) -> None:
    """Set variables for libraries that read the environment themselves, where the operator has not."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
