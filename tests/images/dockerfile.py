"""What a Dockerfile says, as far as the ones of this repository go: stages, instructions, exec and shell form."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("apps/api/Dockerfile", "apps/worker/Dockerfile", "infra/fly/Dockerfile", "infra/runpod/Dockerfile")

_KEYWORDS = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass(frozen=True)
class Instruction:
    """One instruction, its `--flags` apart. `words` are its JSON array in exec form, else what a shell would see."""

    keyword: str
    flags: dict[str, str]
    text: str

    @property
    def is_exec_form(self) -> bool:
        return self.text.startswith("[")

    @property
    def words(self) -> list[str]:
        if self.is_exec_form:
            words = json.loads(self.text)
            assert all(isinstance(word, str) for word in words)
            return list(words)
        return shlex.split(self.text)


@dataclass(frozen=True)
class Stage:
    """A stage: the image or stage it begins with, and its instructions."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


class Dockerfile:
    """The stages of one file, in order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = (ROOT / path).read_text(encoding="utf-8")
        self.stages = _stages([_instruction(line) for line in _lines(self.text)])

    def chain(self, target: str | None = None) -> list[Instruction]:
        """All instructions that make an image: those of its stage and of the stages below it, in order."""
        stage = self._stage(target) if target else self.stages[-1]
        below = next((other for other in self.stages if other.name == stage.base), None)
        return [*(self.chain(below.name) if below else ()), *stage.instructions]

    def bases(self) -> list[str]:
        """The images that stages begin with."""
        names = {stage.name for stage in self.stages}
        return [stage.base for stage in self.stages if stage.base not in names]

    def _stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)


def last(chain: list[Instruction], keyword: str) -> Instruction:
    """The instruction of this kind that counts: the last one."""
    return [instruction for instruction in chain if instruction.keyword == keyword][-1]


def substituted(word: str, arguments: Mapping[str, str]) -> str:
    """A word with `${NAME}` replaced by the build's arguments."""
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], word)


def _lines(text: str) -> Iterator[str]:
    """Instructions, continued lines joined, without comments."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", kept).splitlines():
        if line.strip():
            yield line.strip()


def _instruction(line: str) -> Instruction:
    keyword, _, rest = line.partition(" ")
    assert keyword in _KEYWORDS, f"unknown instruction: {line}"
    flags = {}
    rest = rest.strip()
    while found := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        flags[found[1]] = found[2]
        rest = rest[found.end() :]
    return Instruction(keyword, flags, rest)


def _stages(instructions: list[Instruction]) -> list[Stage]:
    stages: list[Stage] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            base, *named = instruction.words
            stages.append(Stage(named[-1] if named else f"stage {len(stages)}", base, ()))
        else:
            stage = stages[-1]
            stages[-1] = Stage(stage.name, stage.base, (*stage.instructions, instruction))
    return stages
