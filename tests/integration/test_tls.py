"""Redis and Postgres over TLS: certificates are checked, and a document is read through both."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from quire import jobs, tasks
from quire.contracts import OcrPayload
from quire.database.engine import connect, transaction
from quire.database.tables import Document
from quire.embedded import ChildProcess, EmbeddedRedis
from quire.errors import BrokerUnreachable, DatabaseUnreachable
from quire.queues import create_celery
from quire.settings import Settings, get_settings
from tests.integration.conftest import WORKER, is_ready, wait_for, worker_environment
from tests.pdfs import write_scanned_pdf
from tests.tls_proxy import TlsProxy

ROOT = Path(__file__).parents[2]


@dataclass
class Services:
    redis: TlsProxy
    postgres: TlsProxy
    redis_url: str
    database_url: str


@pytest.fixture
def services(redis_server: EmbeddedRedis, database_url: str, tmp_path: Path) -> Iterator[Services]:
    """URLs whose certificates are checked against the authority that signed them."""
    authority = trustme.CA()
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    behind = make_url(database_url)
    host, _, rest = redis_server.url.removeprefix("redis://").rpartition("@")
    with (
        TlsProxy(authority, ("127.0.0.1", redis_server.port)) as redis,
        TlsProxy(authority, Path(str(behind.query["host"])) / ".s.PGSQL.5432", postgres=True) as postgres,
    ):
        through = behind.set(host="127.0.0.1", port=postgres.port, query={})
        through = through.update_query_dict({"sslmode": "verify-full", "sslrootcert": str(certificate)})
        yield Services(
            redis,
            postgres,
            f"rediss://{host}@127.0.0.1:{redis.port}/{rest.partition('/')[2]}?ssl_ca_certs={certificate}",
            through.render_as_string(hide_password=False),
        )


def test_a_document_is_read_through_both(services: Services, redis_server: EmbeddedRedis, tmp_path: Path):
    env = worker_environment(
        redis_server, tmp_path, tmp_path / "models",
        REDIS_URL=services.redis_url, DATABASE_URL=services.database_url, STUCK="no", PYTHONPATH=str(ROOT),
    )  # fmt: skip
    bucket = tmp_path / "objects" / "quire"
    bucket.mkdir(parents=True)
    write_scanned_pdf(bucket / "book.pdf", 2)
    command = [sys.executable, "-m", "celery", "-A", "tests.integration.stuck_app.celery_app", "worker", "-c", "1"]
    queues = ["-Q", "ocr,default", "-l", "info"]
    with ChildProcess([*command, *queues], log=tmp_path / "worker.log", env=env, cwd=WORKER) as worker:
        wait_for(lambda: is_ready(worker), worker)
        app = create_celery(Settings(redis_url=services.redis_url))
        assert tasks.echo.send(tasks.echo.parse(("hello",)), app=app).get(timeout=20) == "hello"
        tasks.ocr_document.send(OcrPayload(key="book.pdf"), app=app)
        engine = connect(str(Settings(database_url=services.database_url).sqlalchemy_url))
        deadline = time.monotonic() + 30
        while True:
            with transaction(engine) as session:
                if session.scalar(select(Document.status)) == "completed":
                    break
            assert time.monotonic() < deadline, worker.last_lines(30)
            time.sleep(0.1)
        engine.dispose()
    assert services.redis.accepted > 1
    assert services.postgres.accepted > 1


def test_a_server_with_a_foreign_certificate_is_not_talked_to(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    foreign = tmp_path / "foreign.pem"
    trustme.CA().cert_pem.write_to_path(str(foreign))
    trusted = str(tmp_path / "authority.pem")
    monkeypatch.setenv("REDIS_URL", services.redis_url.replace(trusted, str(foreign)))
    get_settings.cache_clear()
    try:
        with pytest.raises(BrokerUnreachable):
            jobs.count_tickets()
        with pytest.raises(BrokerUnreachable):
            tasks.echo.send(tasks.echo.parse(("hello",)), app=create_celery(get_settings()), keep_result=False)
    finally:
        get_settings.cache_clear()
    url = make_url(services.database_url).update_query_dict({"sslrootcert": str(foreign)})
    engine = connect(str(Settings(database_url=url.render_as_string(hide_password=False)).sqlalchemy_url))
    with pytest.raises(DatabaseUnreachable), transaction(engine) as session:
        session.execute(text("SELECT 1"))
    engine.dispose()
