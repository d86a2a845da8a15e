"""Pages that were read before: same file, same options, same engine, same owner."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from quire.database.leases import Progress, count_pages

# Of several earlier documents the one with most pages. Never another owner's: how soon an answer comes would tell that
# somebody else has the file.
_COPY = text("""
    WITH earlier AS (
        SELECT e.id FROM documents e JOIN documents d ON d.fingerprint = e.fingerprint AND d.owner = e.owner
        WHERE d.id = :document_id AND e.id <> d.id AND e.status IN ('completed', 'partial')
        ORDER BY e.pages_done DESC LIMIT 1
    )
    UPDATE pages p
    SET status = 'done', finished_at = now(), width = o.width, height = o.height, dpi = o.dpi, rotation = o.rotation,
        source = o.source, engine = o.engine, text = o.text, detections = o.detections, words = o.words,
        blocks = o.blocks, markdown = o.markdown, transform = o.transform, confidence = o.confidence,
        timings = o.timings
    FROM pages o, earlier
    WHERE o.document_id = earlier.id AND o.status = 'done'
      AND p.document_id = :document_id AND p.number = o.number AND p.status = 'pending'
    RETURNING p.number
""")


def copy_pages(session: Session, document_id: UUID) -> Progress | None:
    """Fill pages of a document that has just been planned with those of an earlier one; None if there are none."""
    copied = session.execute(_COPY, {"document_id": document_id}).all()
    return count_pages(session, document_id, len(copied), 0) if copied else None
