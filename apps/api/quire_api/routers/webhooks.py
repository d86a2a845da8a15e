"""Endpoints that hear of documents that have ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from quire import jobs
from quire.contracts import Owner, WebAddress
from quire.database import webhooks
from quire.database.engine import transaction
from quire.database.tables import WebhookDelivery, WebhookEndpoint
from quire.errors import WebhookNotFound
from quire.outbound import require_allowed
from quire.settings import get_settings
from quire.webhook_signature import new_secret
from quire_api import problems
from quire_api.caller import CurrentCaller, owner_of

T = TypeVar("T")

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])

_Limit = Annotated[int, Query(ge=1, le=200)]
_After = Annotated[UUID | None, Query(alias="cursor", description="next_cursor of the answer before")]
_NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "`webhook_not_found`", "model": problems.Problem}
}


class NewEndpoint(BaseModel):
    """Where to send which events."""

    model_config = ConfigDict(extra="forbid")

    url: WebAddress
    events: list[webhooks.Event] = Field(list(webhooks.EVENTS), min_length=1, max_length=len(webhooks.EVENTS))
    owner: Owner = Field("", description="Whose documents; with a key that is not an admin's, its own owner.")


class Endpoint(BaseModel):
    """An endpoint. `secret` verifies its messages, and is shown when the endpoint is made, and not again."""

    id: UUID
    url: str
    events: list[webhooks.Event]
    owner: str
    created_at: datetime
    secret: str | None = None


class Delivery(BaseModel):
    """A message, and what became of it so far. Its `webhook-id` is `msg_` and its id."""

    id: UUID
    event: webhooks.Event
    document_id: UUID
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


class EndpointList(BaseModel):
    """Endpoints, the newest first. `next_cursor` asks for those that follow; None at the end."""

    items: list[Endpoint]
    next_cursor: UUID | None


class DeliveryList(BaseModel):
    """Messages, the newest first. `next_cursor` asks for those that follow; None at the end."""

    items: list[Delivery]
    next_cursor: UUID | None


@router.post("", status_code=201, summary="Add an endpoint")
def create(new: NewEndpoint, caller: CurrentCaller) -> Endpoint:
    """Have messages sent to a URL about documents that end from now on. The answer has the secret to verify them."""
    require_allowed(new.url, get_settings())
    secret = new_secret()
    with transaction() as session:
        endpoint = webhooks.add_endpoint(session, owner_of(new.owner, caller), new.url, secret, new.events)
        return _endpoint(endpoint).model_copy(update={"secret": secret})


@router.get("", summary="List endpoints")
def list_all(caller: CurrentCaller, limit: _Limit = 50, after: _After = None) -> EndpointList:
    """The caller's endpoints, without their secrets."""
    with transaction() as session:
        found = webhooks.list_endpoints(session, caller.owner, most=limit + 1, after=after)
        items = [_endpoint(each) for each in found[:limit]]
        return EndpointList(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.delete("/{endpoint_id}", status_code=204, responses=_NOT_FOUND, summary="Delete an endpoint")
def delete(endpoint_id: UUID, caller: CurrentCaller) -> None:
    """Send nothing there any more, and forget what was."""
    with transaction() as session:
        _require(webhooks.get_endpoint(session, endpoint_id, caller.owner))
        webhooks.delete_endpoint(session, endpoint_id)


@router.get("/{endpoint_id}/deliveries", responses=_NOT_FOUND, summary="List messages")
def list_deliveries(endpoint_id: UUID, caller: CurrentCaller, limit: _Limit = 50, after: _After = None) -> DeliveryList:
    """What was sent to an endpoint within 30 days, and what came of it."""
    with transaction() as session:
        _require(webhooks.get_endpoint(session, endpoint_id, caller.owner))
        found = webhooks.list_deliveries(session, endpoint_id, most=limit + 1, after=after)
        items = [_delivery(each) for each in found[:limit]]
        return DeliveryList(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.post("/deliveries/{delivery_id}/redeliver", status_code=202, responses=_NOT_FOUND, summary="Send again")
def redeliver(delivery_id: UUID, caller: CurrentCaller) -> Delivery:
    """Send a message again, whatever came of it before."""
    with transaction() as session:
        _require(webhooks.get_delivery(session, delivery_id, caller.owner))
        webhooks.redeliver(session, delivery_id)
    jobs.dispatch_webhooks()
    with transaction() as session:
        return _delivery(_require(webhooks.get_delivery(session, delivery_id, caller.owner)))


def _require(found: T | None) -> T:
    if found is None:
        raise WebhookNotFound("There is no such webhook endpoint or message.")
    return found


def _endpoint(row: WebhookEndpoint) -> Endpoint:
    return Endpoint(id=row.id, url=row.url, events=row.events, owner=row.owner, created_at=row.created_at)


def _delivery(row: WebhookDelivery) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.model_fields})
