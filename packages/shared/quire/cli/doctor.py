"""`quire doctor`: whether everything that the settings name is there, and the remedy for what is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final, Literal

import httpx
import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from rich.markup import escape
from sqlalchemy import Engine, text
from sqlalchemy.exc import ArgumentError

from quire.cli.checkout import worker_command, worker_folder
from quire.cli.exit_codes import ExitCode
from quire.cli.output import console, messages, print_json
from quire.database.engine import connect, transaction
from quire.database.migrate import alembic_config
from quire.errors import QuireError, SettingsError
from quire.queues import create_celery
from quire.settings import Settings, load_settings
from quire.storage import create_store

Outcome = Literal["ok", "warning", "failed", "skipped"]

_COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}
_ENGINE_SECONDS: Final = 240
_INSPECT_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Finding:
    """What a check found. `remedy` says what to do, where something is to be done; only `failed` counts."""

    check: str
    outcome: Outcome
    found: str
    remedy: str = ""


def run(*, quick: bool, as_json: bool) -> ExitCode:
    """Check everything and print it as it is found; `quick` leaves out what takes long."""
    failed = False
    for finding in _findings(quick=quick):
        failed = failed or finding.outcome == "failed"
        if as_json:
            print_json(asdict(finding))
            continue
        outcome = f"[{_COLOURS[finding.outcome]}]{finding.outcome:<8}[/]"
        console.print(f"{outcome} {finding.check:<9} {escape(finding.found)}")
        if finding.remedy:
            console.print(f"{'':<18} → {escape(finding.remedy)}")
    if failed and not as_json:
        messages.print("Something has to be done.")
    return ExitCode.FAILED if failed else ExitCode.OK


def _findings(*, quick: bool) -> Iterator[Finding]:
    try:
        settings = load_settings()
        url = settings.sqlalchemy_url
    except SettingsError as error:
        # Every other check would look in the wrong place.
        yield Finding("settings", "failed", error.message, "Correct the variables that it names, and run this again.")
        return
    yield Finding("settings", "ok", "every variable can be used")
    yield from _postgres(url)
    broker = _redis(settings)
    yield broker
    yield _storage(settings)
    yield _gpu(settings)
    yield Finding("models", "skipped", "--quick") if quick else _models()
    if broker.outcome != "failed":
        yield _workers(settings)
    yield _api(settings)


def _postgres(url: str | None) -> Iterator[Finding]:
    if url is None:
        yield Finding(
            "postgres", "warning", "DATABASE_URL is not set", "The API needs it; a worker may do without one."
        )
        return
    remedy = "Start Postgres, or correct DATABASE_URL."
    try:
        engine = connect(url, pool_size=1)
    except ArgumentError:
        yield Finding("postgres", "failed", "DATABASE_URL is no URL of a database", remedy)
        return
    try:
        with transaction(engine) as session:
            version = session.scalar(text("SHOW server_version"))
    except QuireError as error:
        yield Finding("postgres", "failed", error.message, remedy)
        return
    else:
        yield Finding("postgres", "ok", f"Postgres {version}")
        yield _schema(engine)
    finally:
        engine.dispose()


def _schema(engine: Engine) -> Finding:
    wanted = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == wanted:
        return Finding("schema", "ok", f"revision {current}")
    remedy = "Run: python -m quire.database.migrate"
    return Finding("schema", "failed", f"revision {current or 'none'}; this version needs {wanted}", remedy)


def _redis(settings: Settings) -> Finding:
    try:
        with redis.Redis.from_url(settings.broker_url, socket_timeout=5, socket_connect_timeout=5) as client:
            version = client.info("server")["redis_version"]
            policy = _eviction(client)
    except (redis.RedisError, ValueError) as error:
        remedy = "Start Redis, or correct REDIS_URL (CELERY_BROKER_URL)."
        return Finding("redis", "failed", f"Redis did not answer ({type(error).__name__})", remedy)
    if policy not in (None, "noeviction"):
        remedy = "Set maxmemory-policy noeviction: this one throws tickets away."
        return Finding("redis", "failed", f"Redis {version}, maxmemory-policy {policy}", remedy)
    return Finding("redis", "ok", f"Redis {version}")


def _eviction(client: redis.Redis) -> str | None:
    """Redis's policy; None where it does not tell (managed services forbid CONFIG)."""
    try:
        found = client.config_get("maxmemory-policy")
    except redis.ResponseError:
        return None
    return str(found.get("maxmemory-policy")) if isinstance(found, dict) and found else None


def _storage(settings: Settings) -> Finding:
    where = f"bucket {settings.s3_bucket}" if settings.s3_bucket else f"folder {settings.quire_object_dir}"
    try:
        create_store(settings).check(settings.default_bucket)
    except QuireError as error:
        remedy = "Check S3_BUCKET, S3_ENDPOINT_URL, S3_REGION and the keys." if settings.s3_bucket else ""
        return Finding("storage", "failed", error.message, remedy or "Make QUIRE_OBJECT_DIR a folder to write to.")
    return Finding("storage", "ok", where)


def _gpu(settings: Settings) -> Finding:
    if not settings.uses_gpu:
        return Finding("gpu", "skipped", "pages are read on the CPU")
    remedy = "Install the driver, give the container its GPUs, or unset PADDLEOCR_USE_GPU and PADDLEOCR_DEVICE."
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("gpu", "failed", f"{settings.ocr_device} is set, and there is no nvidia-smi", remedy)
    try:
        answer = subprocess.run(  # noqa: S603  the driver's own program
            [program, "--query-gpu=index,name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            check=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("gpu", "failed", f"nvidia-smi ended with {type(error).__name__}", remedy)
    index = settings.ocr_device.removeprefix("gpu:")
    found = {line.partition(",")[0].strip(): line.partition(",")[2].strip() for line in answer.stdout.splitlines()}
    if index not in found:
        return Finding("gpu", "failed", f"there is no GPU {index} among {', '.join(found) or 'none'}", remedy)
    return Finding("gpu", "ok", found[index])


def _models() -> Finding:
    """Whether the engine loads, as it does in a worker; in a process of its own, which may take much memory."""
    if worker_folder() is None:
        return Finding("models", "skipped", "the worker's code is not here")
    command, environment = worker_command("ocr.check")
    remedy = "See the engine's variables: QUIRE_OCR_ENGINE, QUIRE_MODELS, QUIRE_MODEL_DIR, PADDLEOCR_*."
    try:
        ended = subprocess.run(  # noqa: S603  this interpreter, our module
            command, env=environment, capture_output=True, text=True, timeout=_ENGINE_SECONDS, check=False
        )
        answer = json.loads(ended.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Finding("models", "failed", f"the engine did not load within {_ENGINE_SECONDS} s", remedy)
    except (IndexError, ValueError):
        return Finding("models", "failed", _last_line(ended.stderr) or "the engine ended its process", remedy)
    if "code" in answer:
        return Finding("models", "failed", str(answer["message"]), remedy)
    return Finding("models", "ok", f"{answer['engine']} {answer['version']}")


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2]


def _workers(settings: Settings) -> Finding:
    if settings.quire_signing_key is not None:
        return Finding("workers", "skipped", "with QUIRE_SIGNING_KEY workers take no remote commands")
    try:
        queues = _consumers(settings)
    except Exception as error:
        # Kombu raises what its client library does; the check of Redis says more.
        return Finding("workers", "warning", f"cannot be asked ({type(error).__name__})", "Redis first.")
    missing = [name for name in (settings.default_queue, settings.ocr_queue) if name not in queues]
    if missing:
        remedy = "Start a worker: celery -A celery_app.celery_app worker -Q QUEUE (documents wait until then)."
        return Finding("workers", "warning", f"nobody consumes {', '.join(missing)}", remedy)
    return Finding("workers", "ok", f"queues {', '.join(sorted(queues))}")


def _consumers(settings: Settings) -> set[str]:
    """The queues that a worker consumes now."""
    answers = create_celery(settings).control.inspect(timeout=_INSPECT_SECONDS).active_queues() or {}
    return {queue["name"] for queues in answers.values() for queue in queues}


def _api(settings: Settings) -> Finding:
    url = settings.quire_api_url.rstrip("/")
    remedy = "Start it (uvicorn main:app in apps/api), or set QUIRE_API_URL."
    try:
        answer = httpx.get(f"{url}/readyz", timeout=20)
        state = answer.json()
        found = ", ".join(f"{name}: {code}" for name, code in (state["missing"] | state["degraded"]).items())
    except (httpx.HTTPError, httpx.InvalidURL):
        return Finding("api", "warning", f"no answer at {url}", remedy)
    except (ValueError, KeyError, TypeError):
        return Finding("api", "warning", f"what answers at {url} is not Quire", remedy)
    if found:
        return Finding(
            "api", "warning", f"{url}: {state['status']} ({found})", "The API's settings, or these services."
        )
    return Finding("api", "ok", url)
