"""For Twilio when somebody has answered a text."""

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData

from api.acknowledging import Acknowledging
from api.opting_out import OptingOut
from api.problems import responses
from api.twilio import NO_CONTROLS, Twiml, form_of, read, verified
from carrier.twiml import replies
from notifications.opt_out import Wish, wish_of
from privacy.masking import mask

INBOUND_PATH = "/twilio/inbound"

router = APIRouter(tags=["twilio"])
log = structlog.stdlib.get_logger("heliograph.inbound")


class Inbound(BaseModel):
    """What we read of a message that came in."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sid: str = Field(alias="MessageSid", pattern=r"^(SM|MM)[0-9a-fA-F]{32}$")
    from_: str = Field(alias="From", max_length=60, pattern=NO_CONTROLS)
    to: str | None = Field(None, alias="To", max_length=60, pattern=NO_CONTROLS)
    service: str | None = Field(None, alias="MessagingServiceSid", max_length=34, pattern=NO_CONTROLS)
    opt_out_type: str | None = Field(None, alias="OptOutType", max_length=20)
    body: str = Field("", alias="Body", max_length=1600)


@dataclass(frozen=True, slots=True)
class Replies:
    """What people are answered where Twilio does not answer them."""

    stopped: str
    help: str | None


@router.post(INBOUND_PATH, response_class=Twiml, responses=responses(400, 403, 503), openapi_extra=form_of(Inbound))
async def inbound(form: Annotated[FormData, Depends(verified)], request: Request) -> Response:
    """STOP and its like are honoured at once, in a sentence too; START lifts it. A reply to an alert acknowledges it:
    `1`, `ACK`, or the code in the text. Answers TwiML, with no reply where Twilio replies itself."""
    message = read(Inbound, form)
    wish, twilio_answers = wish_of(message.body, message.opt_out_type)
    if wish is not None:
        return await _grant(wish, message, request, twilio_answers=twilio_answers)
    acknowledging: Acknowledging = request.app.state.acknowledging
    count = await acknowledging.by_reply(message.from_, message.body)
    log.info("message came in", sid=message.sid, sender=mask(message.from_), acknowledged=count)
    return Twiml(replies("Acknowledged. Thank you." if count else None))


async def _grant(wish: Wish, message: Inbound, request: Request, *, twilio_answers: bool) -> Response:
    opting_out: OptingOut = request.app.state.opting_out
    answers: Replies = request.app.state.replies
    await opting_out.take(wish, message.from_, sender=message.service or message.to, sid=message.sid)
    log.info("asked for", what=wish, sid=message.sid, sender=mask(message.from_))
    if wish is Wish.HELP:
        return Twiml(replies(None if message.opt_out_type else answers.help))
    return Twiml(replies(answers.stopped if wish is Wish.STOP and not twilio_answers else None))
