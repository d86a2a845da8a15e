"""Redis goes away under an idle worker that holds a delayed message: as after a retry."""

from __future__ import annotations

import time
from pathlib import Path

from quire import tasks
from quire.embedded import EmbeddedRedis
from quire.queues import create_celery
from quire.settings import Settings
from tests.integration.conftest import is_ready, start_worker, wait_for, worker_environment


def test_a_worker_with_a_delayed_message_survives_the_loss_of_redis(model_dir: Path, tmp_path: Path):
    with EmbeddedRedis(tmp_path / "redis") as server:
        app = create_celery(Settings(redis_url=server.url))
        env = worker_environment(server, tmp_path, model_dir)
        with start_worker(env, tmp_path / "worker.log", "-Q", "default", "-c", "1") as worker:
            wait_for(lambda: is_ready(worker), worker)
            app.send_task("tasks.echo", kwargs={"payload": "later"}, queue="default", countdown=600)
            wait_for(lambda: "tasks.echo" in worker.log.read_text(), worker)
            # Until it waits for the next message.
            time.sleep(1)
            server.kill()
            wait_for(lambda: "Connection to broker lost" in worker.log.read_text(), worker)
            server.start()
            call = tasks.echo.send(tasks.echo.parse(("now",)), app=app)
            wait_for(call.ready, worker)
            assert call.get(timeout=5) == "now"
            assert worker.exit_status is None
