"""For Twilio while it calls somebody: the key that he pressed, and how the call ended."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData

from api.acknowledging import Acknowledging
from api.problems import responses
from api.twilio import ErrorCode, Twiml, event_of, form_of, leg_of, read, take, verified
from carrier.calls import CALL_STATUS_PATH, KEY_PATH
from carrier.twiml import says_and_hangs_up
from notifications.notification import CarrierReport
from notifications.spoken import ACKNOWLEDGED, NOT_ACKNOWLEDGED, voice_of
from notifications.status import DeliveryStatus, from_twilio_call

router = APIRouter(tags=["twilio"])


class _FromCall(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sid: str = Field(alias="CallSid", pattern=r"^CA[0-9a-fA-F]{32}$")


class CallStatus(_FromCall):
    """What we read of a call's status callback."""

    carrier_status: str = Field(alias="CallStatus", pattern=r"^[a-z-]{1,30}$")
    error_code: ErrorCode = None

    def report(self, leg: int) -> CarrierReport:
        return CarrierReport(
            sid=self.sid,
            carrier_status=self.carrier_status,
            status=from_twilio_call(self.carrier_status) or DeliveryStatus.SENT,
            error_code=self.error_code,
            leg=leg,
        )


class PressedKey(_FromCall):
    """What Twilio's <Gather> sends."""

    digits: str = Field("", alias="Digits", pattern=r"^[0-9*#]{0,32}$")
    to: str = Field("", alias="To", max_length=40)


@router.post(CALL_STATUS_PATH, status_code=204, responses=responses(400, 403, 503), openapi_extra=form_of(CallStatus))
async def call_status(form: Annotated[FormData, Depends(verified)], request: Request) -> Response:
    """Twilio tells how a call ended."""
    await take(request, read(CallStatus, form).report(leg_of(request)))
    return Response(status_code=204)


@router.post(KEY_PATH, response_class=Twiml, responses=responses(400, 403, 503), openapi_extra=form_of(PressedKey))
async def key(
    form: Annotated[FormData, Depends(verified)],
    request: Request,
    locale: Annotated[str | None, Query(max_length=35)] = None,
) -> Response:
    """Somebody has pressed a key in a call: 1 acknowledges the alert."""
    pressed = read(PressedKey, form)
    acknowledging: Acknowledging = request.app.state.acknowledging
    event_id = event_of(request)
    taken = pressed.digits == "1" and event_id is not None and await acknowledging.by_key(event_id, pressed.to)
    says = (ACKNOWLEDGED if taken else NOT_ACKNOWLEDGED).say(locale)
    return Twiml(says_and_hangs_up(says, language=voice_of(locale)))
