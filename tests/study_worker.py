"""What a process of its own does that is to be killed. It imports no more than it needs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flow.study_aids import StudyAids
from quire.contracts import SummaryPayload
from quire.database.engine import connect
from quire.settings import Settings


def work_in_process(url: str, settings: dict[str, Any], document_id: UUID) -> None:
    """Make a summary."""
    StudyAids(Settings(**settings), connect(url), lambda: False).work(SummaryPayload(document_id=document_id))
