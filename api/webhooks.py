"""For operators: what callers were told by webhook, and what could not be told."""

from datetime import datetime
from typing import Annotated, Self

import structlog
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from temporalio.service import RPCError

from api.access import Operator
from api.auditing import audited
from api.database import answered
from api.problems import Problem, Unavailable, responses
from notifications.fields import EventId, Timestamp
from store.audit import Action
from store.outbox import EndpointRecord, Outbox, Selection, Webhook, WebhookState
from workflows.dispatch import Dispatch

CALLER_NAME = r"^[A-Za-z0-9._-]{1,40}$"
AT_ONCE = 1_000  # webhooks in one order

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
log = structlog.stdlib.get_logger("heliograph.reports")

CallerName = Annotated[str, Path(pattern=CALLER_NAME)]


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class WebhookEntry(_Body):
    """One webhook; its `webhook-id` is `id`."""

    id: Annotated[str, Field(examples=["order-shipped:48151623/1/delivered"])]
    event_id: str
    caller: str
    state: WebhookState
    attempts: int
    answer: Annotated[str | None, Field(description="What the endpoint said last, when it did not take it.")] = None
    created_at: datetime
    updated_at: datetime


class WebhookList(_Body):
    """The latest first."""

    webhooks: list[WebhookEntry]


class Redelivery(_Body):
    """Which webhooks to send (once more): by ID, or all of a time."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    ids: Annotated[
        list[Annotated[str, Field(max_length=160, pattern=r"^[!-~]*$")]] | None, Field(min_length=1, max_length=AT_ONCE)
    ] = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    caller: Annotated[str | None, Field(pattern=CALLER_NAME)] = None
    state: WebhookState | None = None

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if (self.ids is None) == (self.since is None):
            raise PydanticCustomError("which", "give `ids`, or `since`")
        return self


class Redelivered(_Body):
    """How many are sent now."""

    count: int
    more: Annotated[bool, Field(description=f"There are more than {AT_ONCE}: order again.")]


class EndpointEntry(_Body):
    """A caller's endpoint, once it has taken a webhook or was disabled."""

    caller: str
    taken_at: datetime | None = None
    disabled_at: Annotated[datetime | None, Field(description="Nothing is sent to it since then.")] = None


class EndpointList(_Body):
    endpoints: list[EndpointEntry]


@router.get("", responses=responses(400, 503), response_model_exclude_none=True)
async def webhooks(
    request: Request,
    caller: Operator,
    of: Annotated[str | None, Query(alias="caller", pattern=CALLER_NAME)] = None,
    event_id: Annotated[EventId | None, Query(alias="eventId")] = None,
    state: WebhookState | None = None,
    since: Timestamp | None = None,
    until: Timestamp | None = None,
    limit: Annotated[int, Query(ge=1, le=AT_ONCE)] = 100,
) -> WebhookList:
    """What callers were told, and what they were not."""
    outbox: Outbox = request.app.state.outbox
    which = Selection(caller=of, event_id=event_id, state=state, since=since, until=until)
    found: list[Webhook] = await answered(outbox.select(which, limit))
    return WebhookList(webhooks=[WebhookEntry.model_validate(one, from_attributes=True) for one in found])


@router.post("/redeliver", responses=responses(400, 503))
async def redeliver(order: Redelivery, request: Request, caller: Operator) -> Redelivered:
    """Sends webhooks again, with the same `webhook-id` and body: a receiver that has had one drops the repeat."""
    outbox: Outbox = request.app.state.outbox
    which = Selection(ids=order.ids, since=order.since, until=order.until, caller=order.caller, state=order.state)
    async with audited(request, caller, Action.REDELIVER):
        found: list[Webhook] = await answered(outbox.select(which, AT_ONCE + 1))
        await _send(request, found[:AT_ONCE])
    log.warning("webhooks redelivered", count=min(len(found), AT_ONCE), caller=caller.name)
    return Redelivered(count=min(len(found), AT_ONCE), more=len(found) > AT_ONCE)


@router.get("/endpoints", responses=responses(503), response_model_exclude_none=True)
async def endpoints(request: Request, caller: Operator) -> EndpointList:
    """Callers' endpoints, and which of them are disabled: they took nothing for days, or answered 410."""
    outbox: Outbox = request.app.state.outbox
    found: list[EndpointRecord] = await answered(outbox.endpoints())
    return EndpointList(endpoints=[EndpointEntry.model_validate(one, from_attributes=True) for one in found])


@router.post("/endpoints/{name}/enable", responses=responses(400, 404, 503))
async def enable(name: CallerName, request: Request, caller: Operator) -> Redelivered:
    """Enables a caller's endpoint again, and sends what was withheld from it."""
    outbox: Outbox = request.app.state.outbox
    async with audited(request, caller, Action.ENABLE, detail=name):
        was_disabled = await answered(outbox.enable(name))
        which = Selection(caller=name, state=WebhookState.WITHHELD)
        found: list[Webhook] = await answered(outbox.select(which, AT_ONCE + 1))
        if not was_disabled and not found:
            raise Problem(404, "not_found", "No endpoint of this caller is disabled, and nothing was withheld from it.")
        await _send(request, found[:AT_ONCE])
    log.warning("endpoint enabled", endpoint=name, withheld=len(found), caller=caller.name)
    return Redelivered(count=min(len(found), AT_ONCE), more=len(found) > AT_ONCE)


async def _send(request: Request, found: list[Webhook]) -> None:
    """Those that Temporal does not take now stay pending, and the reconciliation sends them."""
    outbox: Outbox = request.app.state.outbox
    dispatch: Dispatch = request.app.state.dispatch
    await answered(outbox.reopen([one.id for one in found]))
    try:
        for one in found:
            await dispatch.send_webhook(one.id, one.caller, ordered=True)
    except (RPCError, RuntimeError):
        raise Unavailable("Temporal") from None
