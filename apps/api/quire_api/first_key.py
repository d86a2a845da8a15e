"""An API that asks for keys and has none is of no use: it says so at once, and what to do."""

from __future__ import annotations

import logging

from sqlalchemy.exc import ProgrammingError

from quire.database.engine import transaction
from quire.errors import DatabaseUnreachable, SettingsError
from quire.keys import has_valid_key
from quire.settings import Settings

logger = logging.getLogger(__name__)


def require_key(settings: Settings) -> None:
    """Return if somebody could call the API, or Postgres does not say.

    Raises:
        SettingsError: keys are asked for, and there is none, or no table for them.
    """
    if settings.quire_auth == "off" or settings.database_url is None:
        return
    try:
        with transaction() as session:
            usable = has_valid_key(session)
    except DatabaseUnreachable as error:
        logger.warning("started without knowing whether there is an API key: %s", error.message)
        return
    except ProgrammingError:
        raise SettingsError("The database is not up to date. Run: python -m quire.database.migrate") from None
    if not usable:
        raise SettingsError(
            "There is no API key yet. Make one: quire keys create --name first --owner you. On this machine alone, "
            "QUIRE_AUTH=off does without."
        )
