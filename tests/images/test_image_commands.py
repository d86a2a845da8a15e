"""The commands of the images without an OCR engine, with only what their Dockerfiles copy and install."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import httpx
import pytest
import yaml

from quire import tasks
from quire.database.engine import connect, transaction
from quire.embedded.processes import free_port
from quire.keys import create_key
from quire.settings import Settings
from tests.images.dockerfile import ROOT, last
from tests.images.image import Image
from tests.images.processes import app_of, running, wait_until

FLY: dict[str, Any] = tomllib.loads((ROOT / "infra/fly/fly.toml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


@pytest.fixture(scope="module")
def default_image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(tmp_path_factory.mktemp("default"), "infra/fly/Dockerfile")


def test_flys_worker_answers_without_an_ocr_engine(default_image: Image, queues, tmp_path):
    environment = {name: value for name, value in FLY["env"].items() if not name.startswith("CELERY_")} | queues
    environment |= {"QUIRE_METRICS_PORT": str(free_port()), "CELERY_QUEUE": queues["CELERY_DEFAULT_QUEUE"]}
    worker = default_image.start(tmp_path / "worker.log", FLY["processes"]["worker"].split(), **environment)
    with running(worker):
        app = app_of(queues)
        assert tasks.echo.send(tasks.echo.parse(({"hello": "world"},)), app=app).get(timeout=20) == {"hello": "world"}
        report = tasks.diagnostics.send(tasks.diagnostics.parse(()), app=app).get(timeout=20)
        assert report["models"]["status"] == "not installed"
        assert report["services"]["redis"]["status"] == "ok"
        assert default_image.probe(**environment) == 0
        metrics = f"http://127.0.0.1:{environment['QUIRE_METRICS_PORT']}{FLY['checks']['alive']['path']}"
        assert httpx.get(metrics).status_code == 200
        # --beat: the schedule is kept where the user of the image may write.
        wait_until(lambda: any(default_image.path("/data/run").glob("beat-schedule*")), worker)
    assert default_image.probe(**environment) == 1


def test_the_ocr_queue_is_refused_without_an_engine(default_image: Image):
    done = default_image.run(["python", "-m", "ocr.check"])
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "engine_unavailable"
    assert "is not installed here" in done.stdout


def test_beat_runs_by_itself(default_image: Image, queues, tmp_path):
    environment = queues | {"QUIRE_RECONCILE_SECONDS": "1"}
    beat = default_image.start(tmp_path / "beat.log", SERVICES["beat"]["command"], **environment)
    with running(beat, lambda process: "Sending due task" in process.log.read_text()):
        pass


def test_the_api_image_migrates_answers_and_shows_the_viewer(empty_database: str, queues, tmp_path):
    image = Image(tmp_path / "image", "apps/api/Dockerfile")
    environment = queues | {"DATABASE_URL": empty_database}
    migrated = image.run(SERVICES["migrate"]["command"], **environment)
    assert migrated.returncode == 0, migrated.stderr
    engine = connect(str(Settings(database_url=empty_database).sqlalchemy_url))
    with transaction(engine) as session:
        create_key(session, name="tests", owner="tests", scopes=["documents:read"])
    engine.dispose()
    port = str(free_port())
    command = [{"8000": port, "0.0.0.0": "127.0.0.1"}.get(word, word) for word in last(image.chain, "CMD").words]
    with running(image.start(tmp_path / "api.log", command, **environment), lambda _: _answers(port)):
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").json()["status"] == "ready"
        viewer = httpx.get(f"http://127.0.0.1:{port}/")
        built = (ROOT / "apps/api/web/dist/index.html").is_file()
        assert viewer.status_code == (200 if built else 503)
        assert ("<!doctype html>" in viewer.text.lower()) == built
        assert image.probe(replacing=("8000", port), **environment) == 0
    assert image.probe(replacing=("8000", port), **environment) == 1


def _answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
