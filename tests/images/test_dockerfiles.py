"""What the Dockerfiles say: pinned bases, no shell in between, nobody special, layers in the order of their change."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.images.build_context import is_sent
from tests.images.dockerfile import DOCKERFILES, ROOT, Dockerfile, Instruction, last, substituted

# Every image, by the file and the stage that makes it.
IMAGES = [(path, None) for path in DOCKERFILES] + [("infra/runpod/Dockerfile", "pod")]
REQUIREMENTS = re.compile(r"(?<=-r )\S+")


@pytest.fixture(params=DOCKERFILES)
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return Dockerfile(request.param)


@pytest.fixture(params=IMAGES, ids=lambda image: ":".join(filter(None, image)))
def chain(request: pytest.FixtureRequest) -> list[Instruction]:
    path, target = request.param
    return Dockerfile(path).chain(target)


def test_every_dockerfile_is_looked_at():
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*Dockerfile*"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(set(found.stdout.split())) == sorted(DOCKERFILES)


def test_bases_are_pinned_by_version_and_digest(dockerfile: Dockerfile):
    for base in dockerfile.bases():
        assert re.fullmatch(r"[a-z0-9./-]+:[0-9][\w.-]*@sha256:[0-9a-f]{64}", base), base


def test_no_shell_stands_between_the_supervisor_and_what_runs(chain: list[Instruction]):
    for instruction in chain:
        if instruction.keyword in ("CMD", "ENTRYPOINT"):
            assert instruction.is_exec_form, instruction.text
            assert not {"sh", "bash", "/bin/sh", "/bin/bash", "-c"} & set(instruction.words)
    assert last(chain, "CMD").words
    # NVIDIA's images have one that is a shell script.
    entry_points = [each.words for each in chain if each.keyword == "ENTRYPOINT"]
    assert all(words == [] for words in entry_points)


def test_it_runs_as_nobody_special(chain: list[Instruction]):
    assert last(chain, "USER").text == "quire"
    users = [
        found for each in chain if each.keyword == "RUN" for found in re.findall(r"useradd --uid (\d+)", each.text)
    ]
    assert [int(uid) >= 10_000 for uid in users] == [True]


def test_it_says_how_to_tell_that_it_is_well(chain: list[Instruction]):
    probe = last(chain, "HEALTHCHECK")
    if probe.text == "NONE":
        # RunPod's platform hears from its worker's own pings.
        assert "serverless_handler.py" in last(chain, "CMD").words
        return
    assert {"interval", "timeout", "start-period"} <= set(probe.flags)
    form, _, command = probe.text.partition(" ")
    assert form == "CMD"
    assert command.startswith('["python", ')


def test_it_copies_what_there_is_and_is_sent(dockerfile: Dockerfile):
    sources = []
    for stage in dockerfile.stages:
        arguments = dict(each.text.split("=", 1) for each in stage.instructions if each.keyword == "ARG")
        for each in stage.instructions:
            if each.keyword == "COPY" and "from" not in each.flags:
                sources += [substituted(word, arguments) for word in each.words[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source


def test_packages_are_those_of_the_pinned_files(dockerfile: Dockerfile):
    installs = [each.text for stage in dockerfile.stages for each in stage.instructions if "pip install" in each.text]
    files = [name for install in installs for name in REQUIREMENTS.findall(install)]
    assert files
    for install in installs:
        if REQUIREMENTS.search(install):
            assert {"--require-hashes", "--no-deps"} <= set(install.split())
        else:
            # Single programs, and what has no place among hashes.
            assert re.search(r"pip install (?:--no-cache-dir )?(uv|paddlepaddle-gpu)==[\d.]+", install), install
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(r"^[a-z0-9.-]+==\S+ \\\n    --hash=sha256:", text, re.M), name


def test_what_changes_often_lies_above_what_does_not(chain: list[Instruction]):
    """Requirements before packages, packages before models, models before the application's code."""

    def place(*, keyword: str, of: str) -> int:
        return next(index for index, each in enumerate(chain) if each.keyword == keyword and of in each.text)

    applications = [
        index
        for index, each in enumerate(chain)
        if each.keyword == "COPY" and each.words[0] in ("apps/api", "apps/worker") and "from" not in each.flags
    ]
    installed = place(keyword="RUN", of="--require-hashes")
    assert place(keyword="COPY", of="requirements") < installed < min(applications)
    models = [index for index, each in enumerate(chain) if "ocr.prepare" in each.text]
    assert all(installed < index < min(applications) for index in models)


def test_the_gpu_image_has_its_models_in_a_layer_of_their_own():
    chain = Dockerfile("infra/runpod/Dockerfile").chain()
    assert ["python", "-m", "ocr.prepare"] in [
        each.words for each in chain if each.keyword == "RUN" and each.is_exec_form
    ]


def test_versions_of_single_programs_are_those_of_the_project():
    """What the GPU image installs by name is what was tested, where it was."""
    text = Dockerfile("infra/runpod/Dockerfile").text
    (uv,) = re.findall(r"\buv==([\d.]+)", text)
    assert f"\nuv=={uv} " in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (paddle,) = re.findall(r"paddlepaddle-gpu==([\d.]+)", text)
    assert f"\npaddlepaddle=={paddle}\n" in (ROOT / "apps/worker/requirements.in").read_text(encoding="utf-8")


def test_the_context_holds_no_secret_and_nothing_that_was_made():
    for path in (
        ".env",
        "apps/api/.env",
        ".git/config",
        ".quire/postgres/PG_VERSION",
        "tests/conftest.py",
        "README.md",
    ):
        assert not is_sent(path), path
    for path in (
        "apps/api/web/dist/index.html",
        "apps/api/web/node_modules/x/y.js",
        "packages/shared/a/__pycache__/b.pyc",
    ):
        assert not is_sent(path), path
    for path in ("apps/worker/tasks.py", "packages/shared/quire/settings.py", "apps/api/web/package-lock.json"):
        assert is_sent(path), path


def test_nothing_in_the_repository_floats_or_is_given_away():
    """No image without a version, no command in shell form, no key, in any file that images are made of or run by."""
    files = [*DOCKERFILES, "docker-compose.yml", "infra/fly/fly.toml", ".env.example", "infra/runpod/hub.json"]
    files += ["infra/fly/README.md", "infra/runpod/README.md", "docs/deploy.md"]
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r":latest\b", text), name
        assert not re.search(r"^\s*(CMD|ENTRYPOINT)\s+[^\[\s]", text, re.M), name
        assert "CMD-SHELL" not in text, name
        assert not re.search(r"\b(rpa_|sk-|AKIA|ghp_|FlyV1 )[A-Za-z0-9]{8,}", text), name
