"""For the services that post events: one route per kind."""

import re
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from api.access import Sender
from api.desk import Desk, Known, Preview, Taken
from api.problems import Problem, responses
from notifications.causes import cause_of
from notifications.event import Event
from notifications.kinds import KINDS
from notifications.local_time import zone_info
from notifications.segments import Encoding
from notifications.status import DeliveryStatus
from telemetry import metrics
from telemetry.tracing import annotate, event_span

REFUSED_BY_TWILIO = "sms_delivery_failed"  # of an event that was taken
LONGEST_WAIT = 60  # seconds; what proxies commonly let pass


class Accepted(BaseModel):
    """The event is taken, or was before."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    accepted: bool | None = None
    duplicate: bool | None = None
    event_id: str
    status: DeliveryStatus
    sid: str | None = None
    error_code: int | None = None


class Previewed(BaseModel):
    """What would become of the event, were it posted now. Nothing was sent."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    dry_run: Literal[True] = True
    would: Literal["send", "hold", "refuse"]
    reason: str | None = None
    not_before: datetime | None = None
    text: str
    encoding: Encoding
    segments: int
    phone: str
    country: str
    local_times: dict[str, datetime]
    """By zone: what the clock on the wall says at the recipient's, in every zone that he may be in."""


class _Counted(APIRoute):
    """Counts what is not taken; what is, `take` counts."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def counted(request: Request) -> Response:
            try:
                return await handle(request)
            except (Problem, RequestValidationError) as refusal:
                error = refusal.error if isinstance(refusal, Problem) else "invalid_request"
                if error != REFUSED_BY_TWILIO and "dryRun" not in request.query_params:
                    metrics.EVENTS.labels(kind=self.name, result=error).inc()
                raise

        return counted


def router() -> APIRouter:
    """`POST /api/<kind>-sms` for every kind."""
    routes = APIRouter(prefix="/api", tags=["events"], route_class=_Counted)
    for kind in KINDS.values():
        _add(routes, kind)
    return routes


def _add(routes: APIRouter, kind: type[Event]) -> None:
    async def post(
        request: Request,
        event: kind,  # type: ignore[valid-type]  # the kind is a value here
        caller: Sender,
        prefer: Annotated[
            str | None, Header(description="`wait=N`: answer when Twilio has accepted or refused, or after N seconds.")
        ] = None,
        dry_run: Annotated[
            bool, Query(alias="dryRun", description="Answers what would be sent when; sends and keeps nothing.")
        ] = False,
    ) -> JSONResponse:
        desk: Desk = request.app.state.desk
        if dry_run:
            return JSONResponse(previewed(desk.preview(event, caller.name)))
        wait = _wait(prefer)
        return _answer(await take(desk, event, caller.name, wait), wait)

    routes.add_api_route(
        f"/{kind.kind}-sms",
        post,
        methods=["POST"],
        status_code=202,
        name=kind.kind,
        summary=(kind.__doc__ or kind.kind).strip().splitlines()[0],
        description="The same `eventId` never texts twice: repeats get the first one's answer.",
        response_model=Accepted,
        responses={
            200: {
                "model": Accepted | Previewed,
                "description": "A repeat; Twilio has it, or it has ended. Or the answer to `dryRun=true`.",
            },
            202: {"model": Accepted, "description": "Taken, or a repeat that is still on its way."},
            **responses(400, 401, 409, 413, 502, 503),
        },
    )


async def take(desk: Desk, event: Event, caller: str, wait: float | None) -> Taken:
    """Takes it in, and counts it. Raises Problem."""
    with event_span(f"take {event.kind}", event.event_id, kind=event.kind):
        taken = await desk.take(event, caller, wait)
        annotate(status=taken.known.status, message_sid=taken.known.sid)
    metrics.EVENTS.labels(kind=event.kind, result="duplicate" if taken.duplicate else "accepted").inc()
    return taken


def told(taken: Taken) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the body that answer an event."""
    known = taken.known
    body = Accepted(
        accepted=None if taken.duplicate else True,
        duplicate=True if taken.duplicate else None,
        event_id=known.event_id,
        status=known.status,
        sid=known.sid,
        error_code=known.error_code,
    )
    settled = taken.duplicate and (known.sid is not None or known.status.final)  # an unknown one is on its way
    return 200 if settled else 202, body.model_dump(mode="json", by_alias=True, exclude_none=True)


def _answer(taken: Taken, wait: float | None) -> JSONResponse:
    known = taken.known
    headers = {"Location": f"/api/notifications/{known.event_id}"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait:g}"
    if not taken.duplicate and known.sid is None and known.status is DeliveryStatus.FAILED:
        raise _refused(known, headers)
    status, body = told(taken)
    return JSONResponse(body, status, headers)


def previewed(preview: Preview) -> dict[str, Any]:
    """What answers `dryRun=true`."""
    request = preview.request
    held = request.waits_for if request.not_before else None
    body = Previewed(
        would="refuse" if preview.refusal else "hold" if held else "send",
        reason=preview.refusal or held,
        not_before=request.not_before,
        text=request.body,
        encoding=preview.size.encoding,
        segments=preview.size.segments,
        phone=request.recipient.masked,
        country=request.recipient.country,
        local_times={zone: request.accepted_at.astimezone(zone_info(zone)) for zone in request.time_zones},
    )
    return body.model_dump(mode="json", by_alias=True, exclude_none=True)


def _refused(known: Known, headers: dict[str, str]) -> Problem:
    details: dict[str, Any] = {"eventId": known.event_id, "status": known.status}
    detail = "Twilio refused the text."
    if known.error_code is not None:
        cause = cause_of(known.error_code)
        detail = f"Twilio refused the text: {cause.says}"
        details |= {"errorCode": cause.code, "do": cause.do, "acts": cause.acts, "url": cause.url}
    return Problem(502, REFUSED_BY_TWILIO, detail, details=details, headers=headers)


def _wait(prefer: str | None) -> float | None:
    """RFC 7240, 4.3: `Prefer: wait=N`; what is not understood is ignored."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])", prefer or "", re.IGNORECASE)
    if found is None or int(found.group(1)) == 0:
        return None
    return float(min(int(found.group(1)), LONGEST_WAIT))
