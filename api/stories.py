"""For those who ask what became of a message: by its eventId, by Twilio's SID, or by the phone it was sent to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.access import Reader
from api.database import answered
from api.desk import Desk
from api.problems import Problem, Unavailable, responses
from api.recipients import recipient_of
from notifications import phone as phones
from notifications.causes import cause_of
from notifications.fields import EventId
from notifications.status import DeliveryStatus
from store.stories import Stories, Story
from store.timeline import Entry, Record

LOOK_EVERY = 0.5  # seconds between looks while a story is followed
ENDS_AFTER = 3.0  # seconds without news once it has ended
KEEP_ALIVE_EVERY = 15.0  # seconds; proxies cut a connection on which nothing is said
FOLLOW_AT_MOST = 3_600.0  # seconds; then the client asks again
FOLLOWERS = 20  # at once of one caller, in one process

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


class Summary(_Answer):
    """How a notification stands."""

    event_id: str
    status: DeliveryStatus
    kind: str | None = None
    sid: str | None = None
    phone: Annotated[str | None, Field(description="Masked.", examples=["***5310"])] = None
    country: str | None = None
    attempts: int = 0
    escalated: str | None = None
    duplicate_send: bool | None = None
    accepted_at: datetime | None = None
    updated_at: datetime | None = None
    error: CauseOfFailure | None = None
    workflow: Annotated[str, Field(description="Where it is in Temporal's UI.")]


class NotificationStory(Summary):
    """All that is known of a notification."""

    timeline: list[TimelineEntry] = []


class Summaries(_Answer):
    """The latest first."""

    notifications: list[Summary]


@router.get("/notifications", responses=responses(400, 503), response_model_exclude_none=True)
async def about(
    request: Request,
    caller: Reader,
    phone: Annotated[str, Query(description="In E.164, its + as %2B.", examples=[phones.EXAMPLE], max_length=40)],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Summaries:
    """What was, or was to be, sent to a phone. It is found by its keyed hash; the number itself is stored nowhere."""
    # An unescaped + in a query is a blank.
    recipient = recipient_of(request, f"+{phone[1:]}" if phone.startswith(" ") else phone)
    stories: Stories = request.app.state.stories
    found: list[Record] = await answered(stories.about(recipient.hash, limit))
    return Summaries(notifications=[Summary(**_summary(request, record)) for record in found])


@router.get("/notifications/{event_id}", responses=responses(400, 404, 503), response_model_exclude_none=True)
async def notification(event_id: EventId, request: Request, caller: Reader) -> NotificationStory:
    """Status, Message SID, attempts, error with what to do about it, and the timeline."""
    return await _story(request, event_id)


@router.get(
    "/notifications/{event_id}/stream",
    responses=responses(400, 404, 429, 503) | {200: {"content": {"text/event-stream": {}}}},
    response_class=StreamingResponse,
)
async def stream(event_id: EventId, request: Request, caller: Reader) -> StreamingResponse:
    """The story as it happens, as server-sent events: `entry` for each line of the timeline, `status` when it changes.

    Ends a few seconds after the notification has, and after an hour at most. `Last-Event-ID` goes on from there.
    """
    followers: Followers = request.app.state.followers
    begin = await _story(request, event_id)
    last = request.headers.get("last-event-id", "0")
    told = int(last) if last.isascii() and last.isdigit() and len(last) < 7 else 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    lines = followers.follow(request, begin, told, caller.name)
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


@router.get("/messages/{sid}", responses=responses(400, 404, 503), response_model_exclude_none=True)
async def message(
    sid: Annotated[str, Path(pattern=r"^(SM|MM|CA)[0-9a-fA-F]{32}$")], request: Request, caller: Reader
) -> NotificationStory:
    """The same, by Twilio's Message SID, or a call's."""
    desk: Desk = request.app.state.desk
    event_id: str | None = await answered(desk.timeline.event_of(sid))
    if event_id is None:
        raise _unknown()
    return await _story(request, event_id)


class Followers:
    """Those who follow a story; each costs a look into the database twice a second."""

    def __init__(self) -> None:
        self.of_caller: Counter[str] = Counter()

    def follow(self, request: Request, begin: NotificationStory, told: int, caller: str) -> AsyncIterator[str]:
        """Raises Problem 429 when there are too many."""
        if self.of_caller[caller] >= FOLLOWERS:
            says = f"{caller} follows {FOLLOWERS} stories already."
            raise Problem(429, "too_many_requests", says, headers={"Retry-After": "10"})
        self.of_caller[caller] += 1
        return self._lines(request, begin, told, caller)

    async def _lines(self, request: Request, story: NotificationStory, told: int, caller: str) -> AsyncIterator[str]:
        began = quiet_since = spoke_at = monotonic()
        status: DeliveryStatus | None = None
        seen: set[str] = set()
        try:
            while monotonic() - began < FOLLOW_AT_MOST:
                news = [line for entry in story.timeline if (line := _json(entry)) not in seen]
                for line in news:
                    seen.add(line)
                    if len(seen) > told:
                        yield f"id: {len(seen)}\nevent: entry\ndata: {line}\n\n"
                if story.status is not status:
                    status = story.status
                    yield f"event: status\ndata: {_json(Summary(**story.model_dump(exclude={'timeline'})))}\n\n"
                    news.append(status)
                now = monotonic()
                if news:
                    quiet_since = spoke_at = now
                if story.status.final and now - quiet_since > ENDS_AFTER:
                    return
                if now - spoke_at > KEEP_ALIVE_EVERY:
                    spoke_at = now
                    yield ": nothing new\n\n"
                await asyncio.sleep(LOOK_EVERY)
                try:
                    story = await _story(request, story.event_id)
                except Unavailable:
                    continue
        finally:
            self.of_caller[caller] -= 1


def _json(model: BaseModel) -> str:
    return model.model_dump_json(by_alias=True, exclude_none=True)


async def _story(request: Request, event_id: str) -> NotificationStory:
    stories: Stories = request.app.state.stories
    desk: Desk = request.app.state.desk
    story: Story | None = await answered(stories.of(event_id))
    if story is None:
        known = await desk.look(event_id)  # accepted, and no worker has had it yet
        if known is None:
            raise _unknown()
        return NotificationStory(
            event_id=event_id,
            status=known.status,
            sid=known.sid,
            error=_cause(known.error_code),
            workflow=_workflow(request, event_id),
        )
    return NotificationStory(**_summary(request, story.record), timeline=[_line(entry) for entry in story.entries])


def _summary(request: Request, record: Record) -> dict[str, Any]:
    return {
        "event_id": record.event_id,
        "status": record.status,
        "kind": record.kind,
        "sid": record.sid,
        "phone": record.masked_phone,
        "country": record.country,
        "attempts": record.attempts,
        "escalated": record.escalated,
        "duplicate_send": record.duplicate_send or None,
        "accepted_at": record.accepted_at,
        "updated_at": record.updated_at,
        "error": _cause(record.error_code),
        "workflow": _workflow(request, record.event_id),
    }


def _line(entry: Entry) -> TimelineEntry:
    return TimelineEntry(
        at=entry.at,
        what=entry.what,
        sid=entry.sid,
        carrier_status=entry.carrier_status,
        error_code=entry.error_code,
        counted=entry.counted,
        detail=entry.detail,
        facts=dict(entry.facts),
    )


def _workflow(request: Request, event_id: str) -> str:
    return f"{request.app.state.workflows_url}/{event_id}"


def _cause(code: int | None) -> CauseOfFailure | None:
    if code is None:
        return None
    cause = cause_of(code)
    return CauseOfFailure(code=cause.code, says=cause.says, do=cause.do, acts=cause.acts, url=cause.url)


def _unknown() -> Problem:
    return Problem(404, "not_found", "No notification of this ID was taken in.")
