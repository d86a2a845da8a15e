"""What became of every page, from the tables alone: nothing here uses the code that wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

_DOCUMENTS = """
    SELECT id, status, page_count, pages_total, pages_done, pages_failed, plan_attempts, error_code, finished_at
    FROM documents
"""
_PAGES = """
    SELECT document_id, number, status, text, attempts, error_code, lease_token FROM pages ORDER BY document_id, number
"""

# The messages of each document to each endpoint that should hear of it, and those of them about what happened.
_MESSAGES = """
    SELECT d.id, d.status, count(w.id) AS messages,
        count(w.id) FILTER (WHERE w.event =
            CASE d.status WHEN 'failed' THEN 'document.failed' ELSE 'document.completed' END) AS fitting
    FROM documents d JOIN webhook_endpoints e ON e.owner = d.owner
    LEFT JOIN webhook_deliveries w ON w.document_id = d.id AND w.endpoint_id = e.id
    GROUP BY d.id, e.id
"""

_ENDED: Final = ("completed", "partial", "failed", "cancelled")

Row = dict[str, Any]
Texts = Sequence[str | None]


# The fields of the findings that should be empty.
PROMISES: Final = (
    "lost",
    "doubled",
    "wrong",
    "stuck",
    "misstated",
    "unjustified",
    "leases_left",
    "unacknowledged",
    "unannounced",
)


@dataclass(frozen=True)
class Findings:
    """What was found; each entry of a list names a page or a document and says what is wrong with it.

    lost: pages neither read nor given up. doubled: documents whose counters and rows disagree. wrong: pages with
    another text than theirs. stuck: documents that have not ended. misstated: documents that say they ended otherwise
    than their pages did. unjustified: pages and documents that failed for another reason than that workers ended while
    they had them, as often as is allowed. `failures` counts all that failed, by cause, and `deadly` those of them that
    were to fail; `attempts` counts pages by how often they were begun. unacknowledged: documents that are there
    although their submitter was told of none or of another one. unannounced: documents with another number of messages
    to an endpoint than one for their end.
    """

    documents: int
    pages: int
    done: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    stuck: list[str]
    misstated: list[str]
    unjustified: list[str]
    leases_left: list[str]
    unacknowledged: list[str]
    unannounced: list[str]
    failures: dict[str, int]
    deadly: int
    attempts: dict[int, int]

    @property
    def broken(self) -> dict[str, list[str]]:
        """The promises that were broken, by name."""
        return {name: found for name in PROMISES if (found := getattr(self, name))}


def check(url: str, expected: Mapping[UUID, Texts], *, attempts: int) -> Findings:
    """Compare the database with the texts of each document's pages. A page may be begun `attempts` times.

    A page whose text is None ends every worker that begins it, and must have failed.
    """
    documents, pages = _read(url)
    return Findings(
        documents=len(expected),
        pages=sum(map(len, expected.values())),
        done=sum(page["status"] == "done" for found in pages.values() for page in found),
        lost=[*_lost(documents, pages, expected)],
        doubled=[*_doubled(documents, pages, expected)],
        wrong=[*_wrong(pages, expected)],
        stuck=[f"{key} is {row['status']}" for key, row in documents.items() if row["status"] not in _ENDED],
        misstated=[*_misstated(documents, pages)],
        unjustified=[*_unjustified(documents, pages, attempts)],
        leases_left=[_name(page) for found in pages.values() for page in found if page["lease_token"] is not None],
        unannounced=[*_unannounced(url)],
        failures=dict(_failures(documents, pages)),
        deadly=sum(1 for _ in _died_of(pages, expected)),
        attempts=dict(sorted(Counter(page["attempts"] for found in pages.values() for page in found).items())),
        unacknowledged=[f"{key} is {row['status']}" for key, row in documents.items() if key not in expected],
    )


def _read(url: str) -> tuple[dict[UUID, Row], dict[UUID, list[Row]]]:
    """Documents by id, and the pages of each, as of one moment."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        documents = {row["id"]: row for row in connection.execute(_DOCUMENTS)}
        pages: dict[UUID, list[Row]] = {key: [] for key in documents}
        for row in connection.execute(_PAGES):
            pages.setdefault(row["document_id"], []).append(row)
    return documents, pages


def _lost(documents: dict[UUID, Row], pages: dict[UUID, list[Row]], expected: Mapping[UUID, Texts]) -> Iterator[str]:
    for key, texts in expected.items():
        if key in documents and _is_given_up_unplanned(documents[key]):
            continue
        statuses = {page["number"]: page["status"] for page in pages.get(key, ())}
        for number in range(1, len(texts) + 1):
            status = statuses.get(number, "missing")
            if status not in ("done", "failed"):
                yield f"{key} page {number} is {status}"


def _doubled(documents: dict[UUID, Row], pages: dict[UUID, list[Row]], expected: Mapping[UUID, Texts]) -> Iterator[str]:
    for key, row in documents.items():
        found = Counter(page["status"] for page in pages[key])
        if (row["pages_done"], row["pages_failed"]) != (found["done"], found["failed"]):
            counted = f"{row['pages_done']} done and {row['pages_failed']} failed"
            yield f"{key} counts {counted}, but has {found['done']} and {found['failed']}"
        numbers = Counter(page["number"] for page in pages[key])
        yield from (f"{key} page {number} is there {count} times" for number, count in numbers.items() if count > 1)
        total = len(expected[key]) if key in expected else row["page_count"]
        if row["page_count"] is not None and not total == row["pages_total"] == len(pages[key]):
            yield f"{key} has {total} pages, counts {row['pages_total']} and has rows for {len(pages[key])}"


def _wrong(pages: dict[UUID, list[Row]], expected: Mapping[UUID, Texts]) -> Iterator[str]:
    for key, texts in expected.items():
        for page in pages.get(key, ()):
            text = dict(enumerate(texts, 1)).get(page["number"])
            if page["status"] == "done" and page["text"] != text:
                yield f"{_name(page)} has {page['text']!r} instead of {text!r}"


def _died_of(pages: dict[UUID, list[Row]], expected: Mapping[UUID, Texts]) -> Iterator[Row]:
    """Pages that ended their workers and have failed, as they were to."""
    for key, texts in expected.items():
        deadly = {number for number, text in enumerate(texts, 1) if text is None}
        yield from (page for page in pages.get(key, ()) if page["number"] in deadly and page["status"] == "failed")


def _misstated(documents: dict[UUID, Row], pages: dict[UUID, list[Row]]) -> Iterator[str]:
    for key, row in documents.items():
        if row["status"] not in _ENDED:
            continue
        done = sum(page["status"] == "done" for page in pages[key])
        status = "failed" if not done else "completed" if done == len(pages[key]) else "partial"
        if row["status"] != status or row["finished_at"] is None:
            yield f"{key} is {row['status']} with {done} of {len(pages[key])} pages done"


def _unjustified(documents: dict[UUID, Row], pages: dict[UUID, list[Row]], attempts: int) -> Iterator[str]:
    for page in (page for found in pages.values() for page in found if page["status"] == "failed"):
        if page["error_code"] != "worker_lost" or page["attempts"] < attempts:
            yield f"{_name(page)} failed with {page['error_code']} after {page['attempts']} attempts"
    for key, row in documents.items():
        if _is_given_up_unplanned(row) and (row["error_code"] != "worker_lost" or row["plan_attempts"] <= attempts):
            yield f"{key} failed with {row['error_code']} after {row['plan_attempts']} attempts to open it"


def _unannounced(url: str) -> Iterator[str]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for row in connection.execute(_MESSAGES):
            wanted = int(row["status"] in ("completed", "partial", "failed"))
            if not wanted == row["messages"] == row["fitting"]:
                yield f"{row['id']} is {row['status']} and has {row['messages']} messages, {row['fitting']} of that"


def _failures(documents: dict[UUID, Row], pages: dict[UUID, list[Row]]) -> Counter[str]:
    failed = [page["error_code"] for found in pages.values() for page in found if page["status"] == "failed"]
    unplanned = [row["error_code"] for row in documents.values() if _is_given_up_unplanned(row)]
    return Counter(failed) + Counter(f"{code} (whole document)" for code in unplanned)


def _is_given_up_unplanned(document: Row) -> bool:
    """Whether a document failed before its pages were known: it has none."""
    return document["status"] == "failed" and document["page_count"] is None


def _name(page: Row) -> str:
    return f"{page['document_id']} page {page['number']}"
