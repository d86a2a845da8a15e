"""Metrics for Prometheus."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from quire_api.state_metrics import StateMetrics

router = APIRouter(tags=["operating"])


@lru_cache(maxsize=1)
def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateMetrics())
    return registry


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics() -> Response:
    """Queues and documents as they are now, at most a few seconds old. Workers count pages on a port of their own."""
    return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)
