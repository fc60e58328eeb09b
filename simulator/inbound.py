"""Texts that a person sends: the webhook "a message comes in", its TwiML, and Twilio's own keywords."""

import re
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from simulator.callbacks import Exchange
from simulator.config import SimulatorConfig
from simulator.message import CallbackRecord, Message
from simulator.network import Network
from simulator.segments import segments
from simulator.store import Store
from simulator.twiml import XML_TYPES, NotTwiml, replies
from simulator.validation import E164

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
ANSWERS = {
    STOP: "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    START: "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    HELP: "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}
router = APIRouter(prefix="/simulator")


class Reply(BaseModel):
    """What the person writes."""

    body: str = Field(max_length=1600)
    to: str | None = None
    """Our number; without it the one that texted this phone last, or our first."""


@router.post("/phones/{number}/reply")
async def reply(number: str, text: Reply, request: Request) -> dict[str, Any]:
    """Sends it, and says what the webhook gave and which texts answer it."""
    store: Store = request.app.state.store
    network: Network = request.app.state.network
    config: SimulatorConfig = request.app.state.config
    message = _incoming(number, text, store, config)
    store.save(message)
    family = _family(text.body)
    if family is STOP:
        store.opt_out(number, message.messaging_service_sid, message.to)
    elif family is START:
        store.opt_in(number, message.messaging_service_sid, message.to)
    network.tell({"type": "inbound", "message": message.record()})
    told = Exchange([])
    if config.inbound_url is not None:
        told = await network.ask(config.inbound_url, _form(message), store.scenario(number))
        message.callbacks.append(CallbackRecord("received", told.answers))
        store.update(message)
        network.tell({"type": "inbound", "message": message.record()})
    texts, warning = ([ANSWERS[family]], None) if family else _texts(told, message, store)
    return {
        "sid": message.sid,
        "answers": told.answers,
        "status": int(told.answers[-1]) if told.answers and told.answers[-1].isdigit() else None,
        "twiml": told.body,
        "warning": warning,
        "replies": [_send(body, message, store, network) for body in texts],
    }


@router.get("/inbound")
async def inbound(request: Request) -> list[dict[str, Any]]:
    """Every text that a person sent, with how the webhook answered."""
    store: Store = request.app.state.store
    return [message.record() for message in store.messages.values() if message.direction == "inbound"]


def _incoming(number: str, text: Reply, store: Store, config: SimulatorConfig) -> Message:
    ours = text.to or next(iter(config.senders), None)
    service = None
    for message in reversed(store.messages.values()):
        if message.to == number and message.direction != "inbound" and text.to in (None, message.from_):
            ours, service = message.from_, message.messaging_service_sid
            break
    if not E164.fullmatch(number) or ours is None:
        raise HTTPException(422, "Nobody can write from there, or to us.")
    now = time.time()
    return Message(
        account_sid=config.account_sid,
        to=ours,
        from_=number,
        body=text.body,
        status="received",
        direction="inbound",
        accepted_at=now,
        date_sent=now,
        clock_offset=store.clock_offset,
        messaging_service_sid=service,
        segments=segments(text.body),
    )


def _family(body: str) -> frozenset[str] | None:
    """The keywords that the text is one of: it has to be the whole text, in letters of any case."""
    word = re.sub(r"\s+", " ", body).strip().upper()
    return next((family for family in ANSWERS if word in family), None)


def _form(message: Message) -> dict[str, str]:
    """The parameters of the webhook (Twilio, "Messaging webhooks")."""
    sender = message.from_ or ""
    form = {
        "AccountSid": message.account_sid,
        "ApiVersion": "2010-04-01",
        "Body": message.body,
        "From": sender,
        "MessageSid": message.sid,
        "NumMedia": "0",
        "NumSegments": str(message.segments),
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "To": message.to,
    }
    for side, number in (("From", sender), ("To", message.to)):
        form |= {f"{side}City": "", f"{side}State": "", f"{side}Zip": ""}
        form[f"{side}Country"] = "US" if number.startswith("+1") else ""
    if message.messaging_service_sid:
        form["MessagingServiceSid"] = message.messaging_service_sid
    return form


def _texts(told: Exchange, message: Message, store: Store) -> tuple[list[str], str | None]:
    """What the application answers, and Twilio's warning where it cannot be sent."""
    if not told.answers:
        return [], None
    if not told.taken:
        return [], "11200 HTTP retrieval failure"
    if not told.body.strip():
        return [], None
    if told.type not in XML_TYPES:
        return [], "12300 Invalid Content-Type"
    try:
        texts = replies(told.body)
    except NotTwiml as failure:
        return [], str(failure)
    if texts and store.opted_out(message.from_ or "", message.messaging_service_sid, message.to):
        return [], "21610 Attempt to send to unsubscribed recipient"
    return texts, None


def _send(body: str, to: Message, store: Store, network: Network) -> str:
    """Its SID."""
    message = Message(
        account_sid=to.account_sid,
        to=to.from_ or "",
        from_=to.to,
        body=body,
        status="queued",
        direction="outbound-reply",
        accepted_at=time.time(),
        clock_offset=store.clock_offset,
        messaging_service_sid=to.messaging_service_sid,
        segments=segments(body),
    )
    store.save(message)
    network.tell({"type": "message", "message": message.record()})
    network.send(message)
    return message.sid
