"""The `quire` command as people and scripts use it, against a running system."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import redis
from PIL import Image
from sqlalchemy import create_engine

from quire.cli.samples import BORN_DIGITAL_PAGE, sample_pdf
from quire.database.migrate import downgrade
from quire.embedded import EmbeddedPostgres, EmbeddedRedis
from quire.embedded.processes import free_port
from tests.operating.conftest import PASSWORD, ROOT, System, clean_environment, wait_until

QUIRE = [sys.executable, "-m", "quire.cli.main"]


@dataclass(frozen=True)
class Ended:
    """What a command printed, and how it ended."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


def quire(env: dict[str, str], *arguments: str | Path) -> Ended:
    command = [*QUIRE, *(str(argument) for argument in arguments)]
    ended = subprocess.run(command, env=env, capture_output=True, check=False, timeout=120, cwd=ROOT)
    return Ended(ended.returncode, ended.stdout.decode("utf-8", "replace"), ended.stderr.decode())


@pytest.fixture(scope="module")
def env(system: System) -> dict[str, str]:
    return system.env | {"QUIRE_API_URL": system.url, "QUIRE_API_KEY": system.key, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "Jahresbericht 2026.pdf"
    path.write_bytes(sample_pdf())
    return path


@pytest.fixture(scope="module")
def document(env: dict[str, str], sample: Path) -> dict[str, Any]:
    """A document that was submitted and has been read."""
    ended = quire(env, "submit", sample, "--wait", "--json")
    assert (ended.status, ended.errors) == (0, "")
    return ended.document


def test_a_document_is_submitted_and_waited_for(document: dict[str, Any]):
    assert (document["status"], document["pages_done"]) == ("completed", 2)
    assert document["filename"] == "Jahresbericht 2026.pdf"


def test_its_status_for_people_and_for_programs(env: dict[str, str], document: dict[str, Any]):
    ended = quire(env, "status", document["id"])
    assert ended.status == 0
    assert ended.output.startswith(f"{document['id']}  completed  2 of 2 pages\n")
    assert "Jahresbericht 2026.pdf" in ended.output
    assert quire(env, "status", document["id"], "--json").document["id"] == document["id"]


def test_documents_are_listed(env: dict[str, str], document: dict[str, Any]):
    found = quire(env, "list", "--status", "completed", "--filename", "Jahresbericht", "--json")
    assert document["id"] in {line["id"] for line in found.lines}
    table = quire(env, "list", "--limit", "1")
    assert table.output.splitlines()[0].split() == ["id", "status", "pages", "created", "file"]
    assert len(table.output.splitlines()) == 2
    assert quire(env, "list", "--filename", "nobody has this").output == ""


def test_what_was_read_is_exported(env: dict[str, str], document: dict[str, Any], tmp_path: Path):
    shown = quire(env, "export", document["id"])
    assert shown.status == 0
    assert BORN_DIGITAL_PAGE[0] in shown.output
    saved = quire(env, "export", document["id"], "--format", "pdf", "-o", tmp_path / "out.pdf", "--json")
    assert saved.document["bytes"] == (tmp_path / "out.pdf").stat().st_size
    with pikepdf.open(tmp_path / "out.pdf") as pdf:
        assert len(pdf.pages) == 2
    assert quire(env, "export", document["id"], "-f", "overlay", "--page", "1", "-o", tmp_path / "o.png").status == 0
    with Image.open(tmp_path / "o.png") as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.png", "out.pdf"]


def test_a_document_that_fails_ends_with_1(env: dict[str, str], tmp_path: Path):
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing else")
    ended = quire(env, "submit", broken, "--json")
    assert ended.status == 0
    watched = quire(env, "watch", ended.document["id"], "--json")
    assert watched.status == 1
    assert watched.document["error"]["code"] == "corrupt"
    again = quire(env, "retry", ended.document["id"], "--json")
    assert again.status == 0
    assert again.document["status"] in {"queued", "running", "failed"}


def test_a_stored_object_is_submitted_by_its_key(env: dict[str, str], system: System):
    folder = Path(system.env["QUIRE_OBJECT_DIR"]) / "quire" / "inbox"
    folder.mkdir(parents=True)
    (folder / "letter.pdf").write_bytes(sample_pdf())
    ended = quire(env, "submit", "--key", "inbox/letter.pdf", "--pages", "2", "--wait", "--json")
    assert (ended.status, ended.document["status"], ended.document["pages_total"]) == (0, "completed", 1)


def test_a_document_is_cancelled_and_deleted(env: dict[str, str], system: System, sample: Path):
    system.worker.suspend()
    try:
        submitted = quire(env, "submit", sample, "--json").document["id"]
        cancelled = quire(env, "cancel", submitted, "--json")
        assert (cancelled.status, cancelled.document["status"]) == (0, "cancelled")
        twice = quire(env, "cancel", submitted)
        assert (twice.status, twice.output) == (1, "")
        assert twice.errors.startswith("quire: already_ended: ")
    finally:
        system.worker.resume()
    assert quire(env, "delete", submitted, "--json").document == {"id": submitted, "deleted": True}
    assert quire(env, "status", submitted).status == 1


def test_ctrl_c_while_watching_ends_with_130(env: dict[str, str], system: System, sample: Path):
    system.worker.suspend()
    try:
        submitted = quire(env, "submit", sample, "--json").document["id"]
        watching = subprocess.Popen(
            [*QUIRE, "watch", submitted],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            # A shell that runs the tests in the background ignores it, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        wait_until(lambda: _connected(watching.pid))
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=20)
        assert watching.returncode == 130
        assert b"Traceback" not in errors
    finally:
        system.worker.resume()
    assert quire(env, "cancel", submitted).status in {0, 1}


def _connected(pid: int) -> bool:
    """Whether a process has a connection."""
    try:
        return any("socket:" in str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("status", str(uuid.UUID(int=7))), 1, "quire: document_not_found: "),
        (("submit",), 2, "quire: usage: Name one document"),
        (("submit", "missing.pdf"), 2, "quire: usage: There is no file missing.pdf."),
        (("export", str(uuid.UUID(int=7)), "-f", "overlay"), 2, "quire: usage: An overlay is of one page"),
    ],
)
def test_an_error_is_one_line_with_its_code(env: dict[str, str], arguments: tuple[str, ...], status: int, error: str):
    ended = quire(env, *arguments)
    assert (ended.status, ended.output) == (status, "")
    assert ended.errors.startswith(error)
    assert len(ended.errors.splitlines()) == 1


def test_an_id_that_is_none_is_refused_before_anything_is_asked(env: dict[str, str]):
    assert quire(env, "status", "seven").status == 2


def test_an_api_that_is_not_there_ends_with_3(env: dict[str, str], sample: Path):
    nobody = env | {"QUIRE_API_URL": f"http://127.0.0.1:{free_port()}", "QUIRE_API_KEY": "qk_0123456789"}
    for arguments in (("list",), ("submit", sample), ("watch", str(uuid.UUID(int=7)))):
        ended = quire(nobody, *arguments)
        assert (ended.status, ended.output) == (3, ""), arguments
        assert re.fullmatch(r"quire: api_unreachable: There is no API at \S+ .*\n", ended.errors)
        assert "qk_0123456789" not in ended.errors


def test_something_else_than_the_api_is_told_apart(env: dict[str, str], system: System):
    ended = quire(env | {"QUIRE_API_URL": system.metrics_url}, "status", str(uuid.UUID(int=7)))
    assert ended.status == 1
    assert ended.errors.startswith("quire: unexpected_answer: ")


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_used_listed_and_revoked(env: dict[str, str]):
    made = quire(env, "keys", "create", "--name", "scanner", "--owner", "lab", "--scope", "documents:read", "--json")
    assert made.status == 0, made.errors
    key = made.document
    with_key = env | {"QUIRE_API_KEY": key["secret"]}
    # Another owner's documents are not there for it, and it may only look.
    assert quire(with_key, "list").output == ""
    refused = quire(with_key, "submit", "--key", "inbox/letter.pdf")
    assert (refused.status, refused.errors.split(":")[1]) == (1, " forbidden")
    listed = quire(env, "keys", "list", "--owner", "lab", "--json")
    assert [(line["id"], line["state"], line["scopes"]) for line in listed.lines] == [
        (key["id"], "valid", ["documents:read"])
    ]
    assert key["secret"] not in listed.output
    assert quire(env, "keys", "revoke", key["id"], "--json").document == {"id": key["id"], "revoked": True}
    assert quire(env, "keys", "revoke", key["id"]).status == 2
    table = quire(env, "keys", "list", "--owner", "lab").output
    assert "revoked" in table
    assert key["secret"] not in table


def test_for_people_the_secret_stands_alone(env: dict[str, str]):
    made = quire(env, "keys", "create", "--name", "by hand")
    assert re.fullmatch(r"qk_[\w-]{40,}\n", made.output)
    assert "it is not shown again" in made.errors
    assert made.output.strip() not in made.errors


def test_without_a_key_the_api_says_what_is_needed(env: dict[str, str]):
    without = {name: value for name, value in env.items() if name != "QUIRE_API_KEY"}
    ended = quire(without, "list")
    assert (ended.status, ended.output) == (1, "")
    assert ended.errors.startswith("quire: unauthorized: ")


# --- doctor -----------------------------------------------------------------------------------------------------------


def findings(ended: Ended) -> dict[str, dict[str, str]]:
    return {line["check"]: line for line in ended.lines}


def test_doctor_finds_nothing_wrong_with_a_running_system(env: dict[str, str]):
    # That models load is seen where a document is read here.
    ended = quire(env, "doctor", "--quick", "--json")
    found = {check: line["outcome"] for check, line in findings(ended).items()}
    assert found == {
        "settings": "ok",
        "postgres": "ok",
        "schema": "ok",
        "redis": "ok",
        "storage": "ok",
        "gpu": "skipped",
        "models": "skipped",
        "workers": "ok",
        "api": "ok",
    }, ended.output
    assert ended.status == 0


def test_doctor_has_a_remedy_for_everything_that_fails(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    nobody = free_port()
    broken = clean_environment() | {
        "DATABASE_URL": f"postgresql://quire:{PASSWORD}@127.0.0.1:{nobody}/quire",
        "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{nobody}/0",
        "QUIRE_OBJECT_DIR": str(file / "objects"),
        "PADDLEOCR_USE_GPU": "1",
        "PADDLEOCR_DET_MODEL_DIR": str(tmp_path / "no-models"),
        "QUIRE_API_URL": f"http://127.0.0.1:{nobody}",
        "PATH": str(tmp_path),
    }
    ended = quire(broken, "doctor", "--json")
    assert ended.status == 1, ended.output
    failed = {check: line for check, line in findings(ended).items() if line["outcome"] == "failed"}
    assert set(failed) == {"postgres", "redis", "storage", "gpu", "models"}
    assert all(line["remedy"] for line in failed.values())
    assert findings(ended)["api"]["outcome"] == "warning"
    assert PASSWORD not in ended.output + ended.errors


def test_doctor_names_a_setting_that_cannot_be_used_and_not_its_value():
    ended = quire(clean_environment() | {"QUIRE_MAX_PAGES": PASSWORD, "COLUMNS": "300"}, "doctor")
    assert ended.status == 1
    assert re.match(r"failed +settings +.*QUIRE_MAX_PAGES.*\n +→ ", ended.output)
    assert PASSWORD not in ended.output + ended.errors


def test_doctor_sees_an_old_schema_and_a_redis_that_evicts(
    env: dict[str, str], postgres_server: EmbeddedPostgres, database_url: str, tmp_path: Path
):
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    downgrade(engine, "0004")
    engine.dispose()
    with EmbeddedRedis(tmp_path / "redis") as evicting:
        with redis.Redis.from_url(evicting.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        old = env | {"DATABASE_URL": database_url, "REDIS_URL": evicting.url}
        found = findings(quire(old, "doctor", "--quick", "--json"))
    assert (found["schema"]["outcome"], found["redis"]["outcome"]) == ("failed", "failed")
    assert "quire.database.migrate" in found["schema"]["remedy"]
    assert "noeviction" in found["redis"]["remedy"]


def test_a_document_is_read_here_without_any_server(model_dir: Path, tmp_path: Path):
    photo = tmp_path / "line.png"
    Image.new("RGB", (200, 60), "white").save(photo)
    env = clean_environment() | {"QUIRE_MODEL_DIR": str(model_dir)}
    ended = quire(env, "ocr", photo, "--json")
    assert (ended.status, ended.document["page_number"]) == (0, 1)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4")
    failed = quire(env, "ocr", tmp_path / "broken.pdf")
    assert (failed.status, failed.output) == (1, "")
    assert len(failed.errors.splitlines()) == 1
