"""For operators, who order what is to become of a notification."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.access import Operator
from api.auditing import audited
from api.follow_up import FollowUp
from api.problems import responses
from notifications.duration import Duration
from notifications.fields import EventId, Printable, ZonedTimestamp
from notifications.status import DeliveryStatus
from store.audit import Action

router = APIRouter(prefix="/api", tags=["notifications"])


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class ResendOrder(_Answer):
    """Why a text is to be sent again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reason: Annotated[
        Printable,
        Field(
            min_length=3,
            max_length=200,
            description="For the timeline. Phone numbers in it are masked.",
            examples=["the recipient changed handsets"],
        ),
    ]
    force: Annotated[
        bool,
        Field(strict=True, description="Send it although it was delivered, is on its way, or may have been sent."),
    ] = False


class Resent(_Answer):
    """The new leg."""

    event_id: str
    leg: Annotated[int, Field(description="2 for the first text that was ordered again, and so on.")]
    status: DeliveryStatus


class NewTimes(_Answer):
    """What may change about an event that is held back; the rest stays."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    starts_at: ZonedTimestamp | None = None
    remind_before: Annotated[tuple[Duration, ...] | None, Field(min_length=1, max_length=5)] = None
    time_zone: Annotated[str | None, Field(max_length=60, examples=["Europe/Berlin"])] = None


class Rescheduled(_Answer):
    """When its next text leaves."""

    event_id: str
    status: DeliveryStatus
    not_before: datetime | None


class Canceled(_Answer):
    """What was held of it will not be sent; the status is that of the text that was sent before, if one was."""

    event_id: str
    status: DeliveryStatus


@router.post("/notifications/{event_id}/cancel", responses=responses(401, 404, 409, 503))
async def cancel(event_id: EventId, request: Request, caller: Operator) -> Canceled:
    """Drops what is still held back. 409 when it is too late: it is being sent, or has ended."""
    follow_up: FollowUp = request.app.state.follow_up
    async with audited(request, caller, Action.CANCEL, event_id=event_id):
        status = await follow_up.cancel(event_id, caller=caller.name)
    return Canceled(event_id=event_id, status=status)


@router.post("/notifications/{event_id}/reschedule", responses=responses(400, 401, 404, 409, 503))
async def reschedule(event_id: EventId, times: NewTimes, request: Request, caller: Operator) -> Rescheduled:
    """Gives an event that is still held back other times; texts and times are worked out anew.

    409 when it is too late: it is being sent, or all of it was sent; and for kinds without times of their own.
    """
    follow_up: FollowUp = request.app.state.follow_up
    changes = times.model_dump(mode="json", exclude_unset=True)
    async with audited(request, caller, Action.RESCHEDULE, event_id=event_id):
        anew = await follow_up.reschedule(event_id, changes, caller=caller.name)
    status = DeliveryStatus.HELD if anew.not_before else DeliveryStatus.PENDING
    return Rescheduled(event_id=event_id, status=status, not_before=anew.not_before)


@router.post("/notifications/{event_id}/resend", responses=responses(400, 401, 404, 409, 503))
async def resend(event_id: EventId, order: ResendOrder, request: Request, caller: Operator) -> Resent:
    """Sends the text again, as another leg under the same event. Who ordered it and why goes into the timeline."""
    follow_up: FollowUp = request.app.state.follow_up
    forced = "forced" if order.force else None
    async with audited(request, caller, Action.RESEND, event_id=event_id, detail=forced):
        leg = await follow_up.resend(event_id, caller=caller.name, reason=order.reason, force=order.force)
    return Resent(event_id=event_id, leg=leg, status=DeliveryStatus.PENDING)
