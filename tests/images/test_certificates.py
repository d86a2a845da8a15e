"""The variable that every image sets makes `sslrootcert=system` mean the system's authorities."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from sqlalchemy.engine import make_url

from tests.images.dockerfile import DOCKERFILES, Dockerfile
from tests.tls_proxy import TlsProxy

CONNECT = "import psycopg, sys; psycopg.connect(sys.argv[1]).close()"


@pytest.mark.parametrize("path", DOCKERFILES)
def test_images_name_the_authorities_of_their_base(path: str):
    variables = [each.words for each in Dockerfile(path).chain() if each.keyword == "ENV"]
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in [word for words in variables for word in words]


def test_postgres_is_checked_against_the_named_authorities(empty_database: str, tmp_path: Path):
    authority, file = trustme.CA(), tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(file))
    behind = make_url(empty_database)
    with TlsProxy(authority, Path(str(behind.query["host"])) / ".s.PGSQL.5432", postgres=True) as proxy:
        through = behind.set(host="127.0.0.1", port=proxy.port, query={})
        url = through.update_query_dict({"sslmode": "verify-full", "sslrootcert": "system"})
        command = [sys.executable, "-c", CONNECT, url.render_as_string(hide_password=False)]
        others = {name: value for name, value in os.environ.items() if name not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
        for environment, succeeds in ((others | {"SSL_CERT_FILE": str(file)}, True), (others, False)):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode == 0) == succeeds, done.stderr
