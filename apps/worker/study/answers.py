"""What all answers of the model have in common: quotes, and texts that are fit to be shown."""

from __future__ import annotations

import unicodedata

from pydantic import BaseModel, ConfigDict


class AnswerModel(BaseModel):
    """Base of the shapes that answers have. OpenAI's strict schemas want every field required and no others."""

    # Others are passed over: an endpoint without schemas may add a field, and the rest is still an answer.
    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra={"additionalProperties": False})


class Quote(AnswerModel):
    """Words that are said to be on a page."""

    page: int
    quote: str


def clean(text: str) -> str:
    """A text as it can be stored and shown: on one line, without control characters."""
    printable = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text)
    return " ".join(printable.split())
