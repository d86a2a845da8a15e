"""Which characters a language needs, and the guard against reading others as these.

The recogniser tells 18,710 characters apart, most of them Chinese. Choosing among the few hundred of the scripts that
were asked for is faster. What is then read is checked: at the least certain places of a line all others are
weighed too, and where one of them wins, the line is decoded again with all characters.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ocr.engines.lean.alignment import BLANK, Character, Steps
from ocr.engines.lean.network import Network
from quire.errors import EngineUnavailable

Script = Literal["latin", "all"]

# PaddleOCR's codes of the languages that PP-OCRv6 reads.
_LATIN_CODES: Final = """
af az bs ca cs cy da de en es et eu fi fr french ga german gl hr hu id is it ku la lb lt lv mi ms mt nl no oc pl pt qu
rm ro rs_latin sk sl sq sv sw tl tr uz vi
"""
_LATIN: Final = frozenset(_LATIN_CODES.split())
_CHINESE_AND_JAPANESE: Final = frozenset({"ch", "chinese_cht", "japan"})

# Steps that are checked: characters and blanks below this probability, and at least so many of each line.
_CERTAIN: Final = 0.98
_LEAST_CHECKED: Final = 3
# How many are weighed in one inference: always as many, since each number of them is code of its own in a runtime.
_BLOCK: Final = 128


def script_of(languages: Sequence[str], *, own_model: bool = False) -> Script:
    """The smallest script set with the characters of all these languages (PaddleOCR's codes).

    A model of the operator's own may be for any language; all its characters are used for one that PP-OCRv6 lacks.

    Raises:
        EngineUnavailable: PP-OCRv6 does not read one of them.
    """
    if all(language in _LATIN for language in languages):
        return "latin"
    unknown = next((code for code in languages if code not in _LATIN | _CHINESE_AND_JAPANESE), None)
    if unknown is not None and not own_model:
        raise EngineUnavailable(
            f"The bundled models do not read {unknown!r}. Set QUIRE_MODELS=download, or PADDLEOCR_REC_MODEL_DIR."
        )
    return "all"


def languages() -> tuple[str, ...]:
    """PaddleOCR's codes of the languages that PP-OCRv6 reads."""
    return tuple(sorted(_LATIN | _CHINESE_AND_JAPANESE))


def classes_of(script: Script, characters: Sequence[str]) -> list[int]:
    """Indices of the recogniser's classes that belong to a script set; the blank, class 0, always does."""
    return [0, *(index for index, text in enumerate(characters) if index and (script == "all" or _is_latin(text)))]


def others_of(classes: Sequence[int], characters: Sequence[str]) -> list[int]:
    """The classes that are other characters than all of `classes`; a full-width letter is none."""
    chosen, known = set(classes), {characters[index] for index in classes}
    return [
        index
        for index, text in enumerate(characters)
        if index not in chosen and unicodedata.normalize("NFKC", text) not in known
    ]


def _is_latin(text: str) -> bool:
    """Latin letters with their extensions, punctuation, currency and mathematical signs."""
    code = ord(text[0])
    return code < 0x250 or 0x1E00 <= code < 0x1F00 or 0x2000 <= code < 0x2190 or 0x2200 <= code < 0x2300


def _least_certain(steps: Steps, characters: Sequence[Character]) -> list[int]:
    """The steps of a line that have to be checked.

    Blanks are among them: where all classes that could be right are missing, the blank often wins.
    """
    blanks = np.flatnonzero(steps.best == BLANK).tolist()
    candidates = [*((c.score, c.peak) for c in characters), *((float(steps.score[step]), step) for step in blanks)]
    candidates.sort()
    return [step for rank, (score, step) in enumerate(candidates) if rank < _LEAST_CHECKED or score < _CERTAIN]


class ScriptGuard:
    """Finds lines with characters outside the chosen classes, and decides them among all, whose `characters` it has.

    `guard` and `head` are a `heads.guard_graph` and `heads.head_graph`.
    """

    def __init__(self, guard: Network, head: Network, characters: Sequence[str]) -> None:
        self._guard, self._head, self._characters = guard, head, characters

    def find_others(self, lines: Sequence[tuple[Steps, Sequence[Character]]], executor: Executor) -> list[bool]:
        """For each line whether, at a step that is not certain, a character outside the chosen classes is likelier."""
        found = [False] * len(lines)
        checked = [
            (line, step) for line, (steps, characters) in enumerate(lines) for step in _least_certain(steps, characters)
        ]
        blocks = [checked[start : start + _BLOCK] for start in range(0, len(checked), _BLOCK)]
        rows = [[lines[line][0].features[step] for line, step in block] for block in blocks]
        for block, others in zip(blocks, executor.map(self._weigh, rows), strict=True):
            for line, _ in itertools.compress(block, others):
                found[line] = True
        return found

    def _weigh(self, features: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.bool_]:
        """Whether a class outside the chosen ones wins, for each of at most `_BLOCK` steps."""
        rows = np.zeros((_BLOCK, len(features[0])), np.float32)
        rows[: len(features)] = features
        out = self._guard.run(rows)
        return np.asarray(out["outside"] > out["inside"])[: len(features)]

    def with_all(self, steps: Steps) -> Steps:
        """The line decided among all characters."""
        out = self._head.run(steps.features[None])
        return replace(
            steps, best=out["best"][0], score=out["score"][0], space=out["space"][0], characters=self._characters
        )
