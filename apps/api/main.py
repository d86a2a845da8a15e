"""The API service: `uvicorn main:app` in `apps/api`."""

from __future__ import annotations

import sys

from quire.errors import SettingsError
from quire.settings import get_settings
from quire_api.app import create_app

try:
    app = create_app(get_settings())
except SettingsError as error:
    sys.exit(f"quire api: {error.message}")
