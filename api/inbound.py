"""For Twilio when somebody has answered a text."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData

from api.acknowledging import Acknowledging
from api.problems import responses
from api.twilio import read, twiml, verified
from carrier.twiml import replies
from privacy.masking import mask

INBOUND_PATH = "/twilio/inbound"

router = APIRouter(tags=["twilio"])
log = structlog.stdlib.get_logger("heliograph.inbound")


class Inbound(BaseModel):
    """What we read of a message that came in."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sid: str = Field(alias="MessageSid", pattern=r"^(SM|MM)[0-9a-fA-F]{32}$")
    from_: str = Field(alias="From", max_length=60)
    body: str = Field("", alias="Body", max_length=1600)


@router.post(INBOUND_PATH, responses=responses(400, 403, 503))
async def inbound(form: Annotated[FormData, Depends(verified)], request: Request) -> Response:
    """A reply to an alert acknowledges it: `1`, `ACK`, or the code in the text. Answers TwiML."""
    message = read(Inbound, form)
    acknowledging: Acknowledging = request.app.state.acknowledging
    count = await acknowledging.by_reply(message.from_, message.body)
    log.info("message came in", sid=message.sid, sender=mask(message.from_), acknowledged=count)
    return twiml(replies("Acknowledged. Thank you." if count else None))
