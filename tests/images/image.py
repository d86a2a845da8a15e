"""An image without a container engine: the files its Dockerfile copies, the packages it installs, its commands.

What an image has below `/app`, `/data` and `/opt` lies below a folder, and every command and variable that names such a
path is told so. Everything else of an image, its system packages above all, is this machine's.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from quire.embedded import ChildProcess
from tests.images.build_context import copy_into
from tests.images.dockerfile import ROOT, Dockerfile, Instruction, last, substituted
from tests.images.installed import make_environment

_OWN_PATH = re.compile(r"(?<![\w./-])/(?=(?:app|data|opt)\b)")
_FOREIGN = (
    "CELERY_",
    "S3_",
    "REDIS_URL",
    "DATABASE_URL",
    "QUIRE_",
    "PADDLEOCR_",
    "OTEL_",
    "RUNPOD_",
    "OPENAI_",
    "PYTHON",
)


class Image:
    """An image that was built in `folder`, with its `RUN` commands in exec form run."""

    def __init__(self, folder: Path, path: str, target: str | None = None) -> None:
        self._folder = folder
        self._dockerfile = Dockerfile(path)
        self.chain = self._dockerfile.chain(target)
        self._arguments: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._workdir = folder
        files = [ROOT / name for each in self.chain for name in _requirement_files(each)]
        self.programs = make_environment(folder / "venv", files)
        for instruction in self.chain:
            self._build(instruction)

    def command(self, words: Sequence[str] | None = None) -> list[str]:
        """The image's command, or another one, as it runs here."""
        given = list(words) if words is not None else last(self.chain, "CMD").words
        program, *arguments = [self._here(word) for word in given]
        return [str(self.programs / program), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Its variables and these; of this process' own none that Quire or Python would read."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        # An image keeps no byte code; here the next process is spared the compilation.
        own = self._environment | {"PATH": path, "HOME": str(self._folder), "PYTHONDONTWRITEBYTECODE": ""}
        return inherited | own | more

    def start(self, log: Path, words: Sequence[str] | None = None, **environment: str) -> ChildProcess:
        """Start its command, or another one."""
        env = self.environment(**environment)
        return ChildProcess(self.command(words), log=log, env=env, cwd=self._workdir)

    def run(self, words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(words), env=self.environment(**environment), cwd=self._workdir,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def probe(self, *, replacing: tuple[str, str] = ("", ""), **environment: str) -> int:
        """The exit status of its health check, one text in it replaced."""
        command = Instruction("CMD", {}, last(self.chain, "HEALTHCHECK").text.partition(" ")[2]).words
        return self.run(
            [word.replace(*replacing) if replacing[0] else word for word in command], **environment
        ).returncode

    def path(self, name: str) -> Path:
        """A path of the image on this machine."""
        return Path(self._here(name))

    def _build(self, instruction: Instruction) -> None:
        text, flags = instruction.text, instruction.flags
        if instruction.keyword == "ARG":
            name, _, value = text.partition("=")
            self._arguments[name] = value
        elif instruction.keyword == "ENV":
            pairs = (word.split("=", 1) for word in shlex.split(text))
            self._environment |= {name: self._here(value) for name, value in pairs}
        elif instruction.keyword == "WORKDIR":
            self._workdir = self.path(text)
            self._workdir.mkdir(parents=True, exist_ok=True)
        elif instruction.keyword == "COPY" and self._is_ours(flags):
            self._copy(instruction.words)
        elif instruction.keyword == "RUN":
            self._run(instruction)

    def _is_ours(self, flags: dict[str, str]) -> bool:
        return "from" not in flags or flags["from"] == "viewer"

    def _copy(self, words: list[str]) -> None:
        *sources, target = [substituted(word, self._arguments) for word in words]
        for source in sources:
            if source == "/web/dist":
                # Built by `make web` here, by the stage before there.
                _copy_viewer(self._workdir / target)
            else:
                copy_into(source, self._workdir / self._here(target))

    def _run(self, instruction: Instruction) -> None:
        if instruction.is_exec_form:
            done = self.run(instruction.words)
            assert done.returncode == 0, done.stderr
        for made in re.findall(r"mkdir -p ([^&]+)", instruction.text):
            for name in made.split():
                self.path(name).mkdir(parents=True, exist_ok=True)

    def _here(self, text: str) -> str:
        return _OWN_PATH.sub(f"{self._folder}/", text)


def _requirement_files(instruction: Instruction) -> list[str]:
    if instruction.keyword != "RUN" or "--require-hashes" not in instruction.text:
        return []
    return re.findall(r"-r (\S+)", instruction.text)


def _copy_viewer(target: Path) -> None:
    built = ROOT / "apps" / "api" / "web" / "dist"
    if built.is_dir():
        subprocess.run(["cp", "-r", built, target], check=True)
