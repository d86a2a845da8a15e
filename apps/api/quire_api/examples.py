"""Answers of the API as its description shows them: a two-page PDF, and its first page."""

from __future__ import annotations

from typing import Any, Final

DOCUMENT_EXAMPLE: Final[dict[str, Any]] = {
    "id": "3e81513c-f5b6-493a-9d5f-919a18653381",
    "status": "completed",
    "filename": "scan.pdf",
    "media_type": "application/pdf",
    "bytes": 83513,
    "sha256": "946a3d41b246231414b28bee22ff26bcf0491e7cf68e987bc470d0fcd0bce2b7",
    "key": "uploads/3e81513c-f5b6-493a-9d5f-919a18653381",
    "page_count": 2,
    "pages_total": 2,
    "pages_done": 2,
    "pages_failed": 0,
    "priority": "interactive",
    "options": {
        "pages": None,
        "lang_hints": ["de"],
        "mode": "text",
        "text_layer": "auto",
        "dpi": 200,
        "min_confidence": None,
    },
    "owner": "acme",
    "created_at": "2026-04-17T09:00:00.856416Z",
    "started_at": "2026-04-17T09:00:00.866580Z",
    "finished_at": "2026-04-17T09:00:01.098109Z",
    "error": None,
    "queue_position": None,
    "eta_seconds": None,
}
PAGE_EXAMPLE: Final[dict[str, Any]] = {
    "page_number": 1,
    "status": "done",
    "attempts": 1,
    "width": 1653,
    "height": 2339,
    "dpi": 200.0,
    "rotation": 0,
    "source": "ocr",
    "engine": "lean 2+openvino.PP-OCRv6_rec_small.balanced",
    "text": "Quire sample document",
    "confidence": 0.9998,
    "detections": [
        {
            "text": "Quire sample document",
            "box": [[163.16, 231.76], [1072.03, 231.76], [1072.03, 318.73], [163.16, 318.73]],
            "confidence": 0.9998,
            "page_number": 1,
        }
    ],
    "words": [
        {
            "text": "Quire",
            "box": [[163.16, 231.76], [372.0, 231.76], [372.0, 318.73], [163.16, 318.73]],
            "confidence": 0.9998,
            "line": 0,
        }
    ],
    "timings": {"render": 15.73, "ocr": 201.77},
    "error": None,
}
