"""Documents that a caller may see: another owner's does not exist."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from quire.database import documents, tombstones
from quire.database.tables import Document
from quire.errors import DocumentNotFound
from quire_api.caller import Caller


def visible_document(session: Session, document_id: UUID, caller: Caller) -> Document:
    """A document of the caller's owner.

    Raises:
        DocumentNotFound: there is none with this id, or not any more, or it is another owner's.
    """
    document = documents.get(session, document_id)
    if document is not None and caller.owner in (None, document.owner):
        return document
    gone = None if document is not None else tombstones.find(session, document_id, caller.owner)
    if gone is None:
        raise DocumentNotFound(f"There is no document {document_id}.")
    why = "it was deleted" if gone.reason == "deleted" else "the time that results are kept is over"
    raise DocumentNotFound(f"There is no document {document_id} any more: {why}.")
