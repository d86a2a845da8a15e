"""The API service: `uvicorn main:app` in `apps/api`."""

from __future__ import annotations

import sys

from quire.loading import loaded  # isort: skip  the collector rests from here on
from quire.errors import SettingsError
from quire.settings import get_settings
from quire.telemetry import logs, tracing
from quire_api import warm_up
from quire_api.app import create_app
from quire_api.first_key import require_key

try:
    logs.configure_api(get_settings())
    tracing.name_service("quire-api")
    require_key(get_settings())
    app = create_app(get_settings())
except SettingsError as error:
    sys.exit(f"quire api: {error.message}")
warm_up.begin()
loaded()
