"""For those who ask what became of a message."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import SQLAlchemyError

from api.access import Operator, Reader
from api.auditing import audited
from api.desk import Desk
from api.follow_up import FollowUp
from api.problems import Problem, Unavailable, responses
from notifications.causes import cause_of
from notifications.duration import Duration
from notifications.fields import EventId, Printable, ZonedTimestamp
from notifications.status import DeliveryStatus
from store.audit import Action
from store.timeline import Entry, Record

router = APIRouter(prefix="/api", tags=["notifications"])


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class TimelineEntry(_Answer):
    """One thing that happened."""

    at: datetime
    what: str
    sid: str | None = None
    carrier_status: str | None = None
    error_code: int | None = None
    counted: bool = True
    detail: str | None = None
    facts: dict[str, Any] = {}


class CauseOfFailure(_Answer):
    """A Twilio error: what it means, who acts, what to do."""

    code: int
    says: str
    do: str
    acts: str
    url: str


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


class NotificationStory(_Answer):
    """All that is known of a notification."""

    event_id: str
    status: DeliveryStatus
    kind: str | None = None
    sid: str | None = None
    phone: str | None = None
    country: str | None = None
    attempts: int = 0
    escalated: str | None = None
    duplicate_send: bool | None = None
    accepted_at: datetime | None = None
    updated_at: datetime | None = None
    error: CauseOfFailure | None = None
    timeline: list[TimelineEntry] = []


@router.get("/notifications/{event_id}", responses=responses(401, 404, 503), response_model_exclude_none=True)
async def notification(event_id: EventId, request: Request, caller: Reader) -> NotificationStory:
    """Status, Message SID, attempts, error with what to do about it, and the timeline."""
    return await _story(request.app.state.desk, event_id)


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


@router.get("/messages/{sid}", responses=responses(401, 404, 503), response_model_exclude_none=True)
async def message(
    sid: Annotated[str, Path(pattern=r"^(SM|MM|CA)[0-9a-fA-F]{32}$")], request: Request, caller: Reader
) -> NotificationStory:
    """The same, by Twilio's Message SID."""
    desk: Desk = request.app.state.desk
    try:
        event_id = await desk.timeline.event_of(sid)
    except (SQLAlchemyError, OSError):
        raise Unavailable("The database") from None
    if event_id is None:
        raise _unknown()
    return await _story(desk, event_id)


async def _story(desk: Desk, event_id: str) -> NotificationStory:
    try:
        record = await desk.timeline.record(event_id)
        entries = await desk.timeline.story(event_id)
    except (SQLAlchemyError, OSError):
        raise Unavailable("The database") from None
    if record is None:
        known = await desk.look(event_id)  # accepted, and no worker has had it yet
        if known is None:
            raise _unknown()
        return NotificationStory(event_id=event_id, status=known.status, sid=known.sid, error=_cause(known.error_code))
    return _told(record, entries)


def _told(record: Record, entries: list[Entry]) -> NotificationStory:
    return NotificationStory(
        event_id=record.event_id,
        status=record.status,
        kind=record.kind,
        sid=record.sid,
        phone=record.masked_phone,
        country=record.country,
        attempts=record.attempts,
        escalated=record.escalated,
        duplicate_send=record.duplicate_send or None,
        accepted_at=record.accepted_at,
        updated_at=record.updated_at,
        error=_cause(record.error_code),
        timeline=[
            TimelineEntry(
                at=entry.at,
                what=entry.what,
                sid=entry.sid,
                carrier_status=entry.carrier_status,
                error_code=entry.error_code,
                counted=entry.counted,
                detail=entry.detail,
                facts=dict(entry.facts),
            )
            for entry in entries
        ],
    )


def _cause(code: int | None) -> CauseOfFailure | None:
    if code is None:
        return None
    cause = cause_of(code)
    return CauseOfFailure(code=cause.code, says=cause.says, do=cause.do, acts=cause.acts, url=cause.url)


def _unknown() -> Problem:
    return Problem(404, "not_found", "No notification of this ID was taken in.")
