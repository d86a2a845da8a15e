"""The application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from quire import __version__
from quire.errors import SettingsError
from quire.settings import Settings
from quire_api import openapi, problems, web
from quire_api.admission import Admission
from quire_api.caller import require, require_documents
from quire_api.observed import Observed
from quire_api.routers import artifacts, documents, events, exports, health, jobs, me, metrics, ocr, pages, webhooks
from quire_api.uploads import UploadLimit


def create_app(settings: Settings) -> FastAPI:
    """The application for these settings.

    Raises:
        SettingsError: `DATABASE_URL` is missing; the API's answers come from Postgres.
    """
    if settings.sqlalchemy_url is None:
        raise SettingsError("The API needs DATABASE_URL: documents and their status live in Postgres.")
    app = FastAPI(
        title="Quire",
        version=__version__,
        summary="Documents in, text with boxes out.",
        responses={"4XX": {"model": problems.Problem}, "5XX": {"model": problems.Problem}},
    )
    app.add_middleware(UploadLimit, max_bytes=settings.quire_max_bytes)
    app.add_middleware(Admission)
    # The last one is the outermost.
    app.add_middleware(Observed)
    problems.install(app)
    openapi.install(app)
    for router in (
        ocr.router,
        documents.router,
        pages.router,
        exports.router,
        events.router,
        artifacts.router,
    ):
        app.include_router(router, dependencies=[Depends(require_documents)])
    # With and without a version in the address, as clients of other job queues write it.
    for prefix in ("/api/v1", ""):
        app.include_router(jobs.router, prefix=prefix, dependencies=[Depends(require_documents)])
    app.include_router(webhooks.router, dependencies=[Depends(require("webhooks"))])
    app.include_router(me.router)
    app.include_router(health.router)
    app.include_router(metrics.router, dependencies=[Depends(require("metrics"))])
    # The last one: its addresses give way to all others.
    web.install(app)
    return app
