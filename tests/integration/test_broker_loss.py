"""Redis goes away under a worker that holds messages: delayed ones, as after a retry, and one it works on."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from kombu import Connection

from quire import tasks
from quire.embedded import EmbeddedRedis
from quire.queues import create_celery
from quire.settings import Settings
from runtime import lost_connection
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


def test_what_ends_after_its_connection_is_only_not_acknowledged(redis_server: EmbeddedRedis, caplog):
    """The task ends while its worker has another connection already: the message is delivered again."""
    lost_connection.install()
    connection = Connection(redis_server.url)
    queue = connection.SimpleQueue("held")
    queue.put("work")
    message = queue.get(timeout=5)
    # What kombu leaves behind after it has collapsed a connection (`Connection.collapse`).
    message.channel._disconnect_pools()
    connection.transport.client = None
    message.ack_log_error(logging.getLogger("kombu"), connection.connection_errors)
    assert "Couldn't ack" in caplog.text
    assert not message.acknowledged
    connection.transport.client = connection
    connection.close()
