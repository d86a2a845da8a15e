"""One report of what this worker is and what it can reach. No secrets."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import redis
from pydantic import SecretStr
from sqlalchemy import text

import quire
from ocr.engines import create_engine
from quire.contracts import DiagnosticsResult
from quire.database.engine import get_engine, transaction
from quire.errors import BrokerUnreachable, EngineUnavailable, QuireError
from quire.settings import Settings
from quire.storage import get_store

_PACKAGES: Final = (
    "celery", "kombu", "redis", "paddleocr", "paddlex", "paddlepaddle", "paddlepaddle-gpu", "onnxruntime",
    "onnxruntime-gpu", "pypdfium2", "pillow", "boto3", "sqlalchemy", "psycopg",
)  # fmt: skip


def report(settings: Settings) -> DiagnosticsResult:
    """Look at everything once. A service that does not answer is part of the report, not an error."""
    return DiagnosticsResult(
        versions={"quire": quire.__version__, "python": platform.python_version()}
        | {p: _version(p) for p in _PACKAGES},
        services={
            "redis": _timed(lambda: _check_redis(settings)),
            "postgres": _timed(_check_postgres) if settings.database_url else {"status": "not configured"},
            "storage": _timed(lambda: get_store().check(settings.default_bucket)),
        },
        settings={name: _shown(value) for name, value in settings},
        gpu=_gpu(),
        models=_models(settings),
    )


def _models(settings: Settings) -> dict[str, Any]:
    try:
        return create_engine(settings).describe()
    except EngineUnavailable as error:
        return {"status": "not installed", "message": error.message}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _timed(check: Callable[[], None]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        check()
    except QuireError as error:
        return {"status": "error", "code": error.code, "message": error.message}
    return {"status": "ok", "milliseconds": round((time.perf_counter() - started) * 1000, 1)}


def _check_redis(settings: Settings) -> None:
    try:
        with redis.Redis.from_url(settings.broker_url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        raise BrokerUnreachable(f"Redis did not answer ({type(error).__name__}). Check REDIS_URL.") from error


def _check_postgres() -> None:
    with transaction(get_engine()) as session:
        session.execute(text("SELECT 1"))


def _shown(value: Any) -> Any:
    """Secrets as set or not set; everything else as JSON can hold it."""
    if isinstance(value, SecretStr):
        return "set"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _gpu() -> dict[str, Any]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return {"status": "none found"}
    fields = ("name", "driver_version", "memory.total", "memory.used", "utilization.gpu")
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            check=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"status": "error", "message": type(error).__name__}
    devices = [dict(zip(fields, line.split(", "), strict=False)) for line in answer.stdout.splitlines()]
    return {"status": "ok", "devices": devices}
