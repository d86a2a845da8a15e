"""The worker's Celery app: `celery -A celery_app.celery_app worker -Q ${CELERY_QUEUE:-default} -l info`."""

from __future__ import annotations

import sys

import workspace  # noqa: F401  isort: skip
from quire.loading import loaded  # isort: skip  the collector rests from here on
from quire.errors import SettingsError
from quire.queues import create_celery
from quire.settings import get_settings
from runtime import dead_processes, leaving, lost_connection, observed, pod_guard, pool, presence

try:
    celery_app = create_celery(get_settings())
except SettingsError as error:
    sys.exit(f"quire worker: {error.message}")

celery_app.conf.imports = ("tasks",)
pool.install(celery_app)
dead_processes.install(celery_app)
presence.install(celery_app)
pod_guard.install(celery_app)
observed.install(celery_app, get_settings())
lost_connection.install()
leaving.install()
loaded()
