"""The viewer's files over HTTP, and its own unit tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from quire_api import problems, web

WEB = Path(__file__).parents[2] / "apps" / "api" / "web"
DOCUMENT = "/documents/063fbb60-2c93-45cc-8d11-38d9cb2660b1"


def client_of(bundle: Path) -> TestClient:
    router = APIRouter()
    router.add_api_route("/api/v1/documents", lambda: {"items": []})
    app = FastAPI()
    problems.install(app)
    app.include_router(router)
    web.install(app, bundle)
    return TestClient(app)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    assets = tmp_path / "bundle" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "index.html").write_text("<title>Quire</title>")
    (assets.parent / "theme.js").write_text("// theme")
    (assets.parent / "secret.txt").write_text("not served")
    (assets / "index-1a2b.js").write_text("// viewer")
    (tmp_path / "secret.txt").write_text("not served")
    return client_of(assets.parent)


@pytest.mark.parametrize("path", ["/", "/documents", DOCUMENT, f"{DOCUMENT}?page=3"])
def test_every_address_of_the_viewer_is_the_same_page_asked_for_each_time(client: TestClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    assert client.head(path).status_code == 200


def test_files_named_after_their_content_are_kept(client: TestClient):
    answer = client.get("/assets/index-1a2b.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert client.get("/theme.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/assets/index-1a2b.js", "/theme.js"])
def test_scripts_come_from_here_and_no_other_page_may_frame_it(client: TestClient, path: str):
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f..%2fsecret.txt", "/assets/..%2fsecret.txt", "/assets/%2e%2e", "/assets/none.js", "/secret.txt"],
)
def test_nothing_else_is_served(client: TestClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_api_goes_first_and_keeps_its_own_errors(client: TestClient):
    assert client.get("/api/v1/documents").json() == {"items": []}
    for path in ("/api/v1/unknown", "/api", "/unknown"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == problems.MEDIA_TYPE


def test_without_a_bundle_the_page_says_how_to_build_it(tmp_path: Path):
    client = client_of(tmp_path)
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/plain")
    assert "make web" in answer.text
    assert client.get("/assets/index.js").status_code == 404


def test_the_lock_file_names_every_package_and_no_registry():
    packages = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert len(packages) > 20
    assert not any("resolved" in package for package in packages.values())
    assert all("integrity" in package for path, package in packages.items() if path and "inBundle" not in package)


def test_the_unit_tests_of_the_viewer_pass():
    if not (WEB / "node_modules").is_dir():
        pytest.skip("needs the viewer's packages (make web)")
    done = subprocess.run([WEB / "npm.sh", "run", "--silent", "test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
