"""Pages of the size that a photographed receipt has once it is read."""

from __future__ import annotations

import random
from typing import Final

from quire.contracts import Box, Detection, PageText, Word

# What the engine finds on the receipts of the accuracy tests: about 50 lines, 120 words, 24 KB of JSON.
LINES: Final = 50
_MOST_WORDS_IN_LINE: Final = 4
_SYLLABLES: Final = (
    "to",
    "tal",
    "re",
    "ceipt",
    "ca",
    "sh",
    "chan",
    "ge",
    "tax",
    "sub",
    "in",
    "voi",
    "ce",
    "0",
    "12",
    "9",
)


def receipt_page(number: int, seed: int = 0, lines: int = LINES) -> PageText:
    """Page `number`; the same seed gives the same page."""
    chance = random.Random(f"receipt {seed}")
    detections, words = [], []
    for line in range(lines):
        texts = [_word(chance) for _ in range(chance.randint(1, _MOST_WORDS_IN_LINE))]
        left, top = chance.uniform(10, 200), 20.0 + 18 * line
        detections.append(
            Detection(
                text=" ".join(texts),
                box=_box(left, top, 9.0 * sum(map(len, texts))),
                confidence=round(chance.uniform(0.6, 1), 4),
                page_number=number,
            )
        )
        for text in texts:
            confidence = round(chance.uniform(0.6, 1), 4)
            words.append(Word(text=text, box=_box(left, top, 9.0 * len(text)), confidence=confidence, line=line))
            left += 9.0 * (len(text) + 1)
    return PageText(
        page_number=number,
        width=463,
        height=1013,
        dpi=None,
        rotation=0,
        source="ocr",
        engine="receipt-sized",
        text="\n".join(detection.text for detection in detections),
        detections=tuple(detections),
        words=tuple(words),
        confidence=0.93,
        timings={"render": 3.61, "ocr": 647.43},
    )


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.randint(1, 3)))


def _box(left: float, top: float, width: float) -> Box:
    left, top, right, bottom = (round(value, 2) for value in (left, top, left + width, top + 14.3))
    return ((left, top), (right, top), (right, bottom), (left, bottom))
