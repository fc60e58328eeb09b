"""For Twilio, which calls back."""

import re
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData

from api.desk import Desk
from api.follow_up import FollowUp
from api.problems import Problem, Unavailable, responses
from carrier.messages import CALLBACK_PATH
from carrier.signature import Signatures
from notifications.consent import BLOCKED
from notifications.notification import CarrierReport
from notifications.status import DeliveryStatus, from_twilio
from store.consents import Consents
from store.timeline import Entry, Recorded
from telemetry import metrics
from telemetry.tracing import event_span

router = APIRouter(tags=["twilio"])
log = structlog.stdlib.get_logger("heliograph.callbacks")

Form = TypeVar("Form", bound=BaseModel)
_EVENT_ID = re.compile(r"(?!temporal-sys-)[A-Za-z0-9._:@-]{6,120}")

# Six digits hold every code of Twilio's, and no number that calls somebody.
ErrorCode = Annotated[int | None, Field(alias="ErrorCode", ge=0, lt=1_000_000)]
NO_CONTROLS = r"^[^\x00-\x1f]*$"


class StatusCallback(BaseModel):
    """What we read of a status callback; Twilio adds parameters without notice, so others pass."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sid: str = Field(alias="MessageSid", pattern=r"^(SM|MM)[0-9a-fA-F]{32}$")
    carrier_status: str = Field(alias="MessageStatus", pattern=r"^[a-z_]{1,30}$")
    error_code: ErrorCode = None
    sender: str | None = Field(None, alias="From", max_length=60, pattern=NO_CONTROLS)
    service: str | None = Field(None, alias="MessagingServiceSid", max_length=34, pattern=NO_CONTROLS)
    done_at: str | None = Field(None, alias="RawDlrDoneDate")

    def report(self, leg: int) -> CarrierReport:
        return CarrierReport(
            sid=self.sid,
            carrier_status=self.carrier_status,
            # A status that is not known here still proves that Twilio has the message.
            status=from_twilio(self.carrier_status) or DeliveryStatus.SENT,
            error_code=self.error_code,
            leg=leg,
        )


class Twiml(Response):
    """Never text/plain: Twilio would send that as a reply."""

    media_type = "application/xml"


def form_of(model: type[BaseModel]) -> dict[str, Any]:
    """For a route's OpenAPI: what Twilio posts there, and signs."""
    schema = model.model_json_schema()
    schema["properties"] = {"AccountSid": {"type": "string"}} | schema["properties"]
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    signature = {"name": "X-Twilio-Signature", "in": "header", "required": True, "schema": {"type": "string"}}
    return {"requestBody": {"required": True, "content": content}, "parameters": [signature]}


async def verified(request: Request) -> FormData:
    """The form of a request that Twilio signed. Raises Problem 403."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        form = FormData()
    else:
        form = await request.form()
    signatures: Signatures | None = request.app.state.signatures
    scope = request.scope
    if signatures is not None and not signatures.genuine(
        scope["raw_path"], scope["query_string"], form, request.headers.get("x-twilio-signature")
    ):
        _count_forged(request)
        log.warning("callback refused: not signed by Twilio")
        raise Problem(403, "forbidden", "The request does not carry Twilio's signature for this URL.")
    return form


@router.post(CALLBACK_PATH, status_code=204, responses=responses(400, 403, 503), openapi_extra=form_of(StatusCallback))
async def status_callback(form: Annotated[FormData, Depends(verified)], request: Request) -> Response:
    """Twilio tells what became of a message. Unordered, repeated, early or late: all are fine."""
    callback = read(StatusCallback, form)
    # A toll-free STOP (30004) is told by the number that was sent from; other opt-outs may be of the service.
    sender = callback.sender if callback.error_code == BLOCKED else callback.service or callback.sender
    await take(request, callback.report(leg_of(request)), sender=sender, done_at=callback.done_at)
    return Response(status_code=204)


async def take(
    request: Request, report: CarrierReport, *, sender: str | None = None, done_at: str | None = None
) -> None:
    """Writes a report down and hands it to its workflow. Raises Unavailable; then Twilio calls again.

    `done_at` is the minute, YYMMDDhhmm in UTC, that the carrier names as the end.
    """
    event_id, status = event_of(request), metrics.status_label(report.carrier_status)
    span = event_span("callback", event_id, status=status, message_sid=report.sid) if event_id else nullcontext()
    with span:
        recorded = await _take(request, event_id, report, sender)
    metrics.CALLBACKS.labels(status=status, counted=str(recorded.counted).lower()).inc()
    if recorded.counted and done_at is not None:
        _count_lag(done_at)


async def _take(request: Request, event_id: str | None, report: CarrierReport, sender: str | None) -> Recorded:
    desk: Desk = request.app.state.desk
    follow_up: FollowUp = request.app.state.follow_up
    recorded = await _record(desk, event_id, report)
    if recorded is not None and recorded.worn_out:
        log.warning("callback replayed", event_id=event_id, sid=report.sid, status=report.carrier_status)
        return recorded
    event_id = event_id or (recorded.event_id if recorded else None)
    if recorded is not None and recorded.second_sid and recorded.event_id is not None:
        await follow_up.second_message(recorded.event_id, recorded.leg, report.sid)
    # Signalled even when the database is away: the workflow must not wait for what Twilio has told already.
    elif report.status.final and event_id is not None:
        leg = recorded.leg if recorded is not None else report.leg  # known by the SID where the URL names none
        await follow_up.final_status(event_id, report.model_copy(update={"leg": leg}))
    if recorded is None:
        raise Unavailable("The database")  # Twilio calls again, and the timeline gets its entry
    if event_id is not None:
        await _learn(request, event_id, recorded.leg, report, sender)
    log.info(
        "callback",
        event_id=event_id,
        sid=report.sid,
        status=report.carrier_status,
        error_code=report.error_code,
        counted=recorded.counted,
    )
    return recorded


async def _record(desk: Desk, event_id: str | None, report: CarrierReport) -> Recorded | None:
    entry = Entry(
        "callback",
        at=datetime.now(UTC),
        sid=report.sid,
        carrier_status=report.carrier_status,
        error_code=report.error_code,
    )
    try:
        recorded = await desk.timeline.callback(event_id, report, entry)
    except (SQLAlchemyError, OSError) as failure:
        log.error("callback not recorded", event_id=event_id, sid=report.sid, error=type(failure).__name__)
        return None
    if recorded.second_sid:
        metrics.SECOND_SIDS.inc()
        log.error("a second message reports for one leg", event_id=event_id, sid=report.sid)
    return recorded


async def _learn(request: Request, event_id: str, leg: int, report: CarrierReport, sender: str | None) -> None:
    consents: Consents = request.app.state.consents
    try:
        await consents.learn(event_id, leg, report.error_code, sender=sender, sid=report.sid)
    except (SQLAlchemyError, OSError):
        raise Unavailable("The database") from None


def _count_forged(request: Request) -> None:
    route = getattr(request.scope.get("route"), "path", "(none)")
    signature = "wrong" if "x-twilio-signature" in request.headers else "missing"
    metrics.FORGED.labels(route=route, signature=signature).inc()


def _count_lag(done_at: str) -> None:
    try:
        minute = datetime.strptime(done_at, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return  # carriers write what they like
    lag = datetime.now(UTC) - minute - timedelta(minutes=1)
    if abs(lag) < timedelta(days=1):
        metrics.CALLBACK_LAG.observe(max(0.0, lag.total_seconds()))


def read(model: type[Form], form: FormData) -> Form:
    """Raises Problem 400."""
    fields = {name: value for name, value in form.items() if isinstance(value, str) and value != ""}
    try:
        return model.model_validate(fields)
    except ValidationError as invalid:
        details = [
            {"field": str(error["loc"][0]), "problem": error["msg"], "code": error["type"]}
            for error in invalid.errors(include_url=False, include_input=False)
        ]
        raise Problem(400, "invalid_request", "This is not what Twilio sends here.", details=details) from None


def event_of(request: Request) -> str | None:
    """The event that a callback URL names."""
    event_id = request.query_params.get("eventId")
    return event_id if event_id and _EVENT_ID.fullmatch(event_id) else None


def leg_of(request: Request) -> int:
    """The leg that a callback URL names; the first one where it names none."""
    leg = request.query_params.get("leg", "1")
    return int(leg) if re.fullmatch(r"[1-9][0-9]{0,3}", leg, re.ASCII) else 1
