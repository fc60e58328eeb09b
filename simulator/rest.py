"""Twilio's REST API for messages, version 2010-04-01."""

import base64
import binascii
import hmac
import secrets
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from simulator import faults, paging
from simulator.config import SimulatorConfig
from simulator.errors import NotFound, TwilioError
from simulator.message import Message
from simulator.network import Network
from simulator.scenario import Step
from simulator.segments import segments
from simulator.store import Store
from simulator.validation import Create, validated

ACCOUNT = "/2010-04-01/Accounts/{account}"
router = APIRouter()


def authenticated(account: str, request: Request) -> bool:
    """Whether these are test credentials. Raises TwilioError 401 or 404."""
    config: SimulatorConfig = request.app.state.config
    user, password = _basic(request.headers.get("authorization", ""))
    known = {config.account_sid: config.auth_token, **config.api_keys}
    if config.test_account:
        known[config.test_account[0]] = config.test_account[1]
    right = hmac.compare_digest(password.encode(), known.get(user, secrets.token_hex()).encode())
    if not right and user == config.account_sid and config.auth_token_secondary:
        right = hmac.compare_digest(password.encode(), config.auth_token_secondary.encode())
    if not right:
        raise TwilioError(20003)
    test = config.test_account is not None and user == config.test_account[0]
    if account != (user if user.startswith("AC") else config.account_sid):
        raise NotFound(request.url.path)
    return test


def live(account: str, request: Request) -> None:
    """Test credentials may create and do nothing else."""
    if authenticated(account, request):
        raise TwilioError(20008)


Test = Annotated[bool, Depends(authenticated)]
LIVE = [Depends(live)]


@router.post(ACCOUNT + "/Messages.json")
async def create(account: str, test: Test, request: Request) -> Response:
    store: Store = request.app.state.store
    config: SimulatorConfig = request.app.state.config
    form = {name: str(value) for name, value in (await request.form()).items()}
    to = form.get("To", "")
    store.count_request(to)
    valid = validated(form, config, test=test)
    if test:
        return answer(_message(valid, account, store).resource(), 201)
    scenario = store.scenario(to)
    step = store.next_step(to) or Step(fault="none")
    await faults.before(step)
    if store.opted_out(to, valid.service, valid.from_):
        raise TwilioError(21610)
    if faults.harmless(step) and scenario.outcome == "refused":
        raise TwilioError(scenario.code or 21211, to=to, from_=valid.from_ or "")
    message = None
    if faults.taken(step):
        message = await _accept(request, valid, account, early=scenario.callbacks.early)
    await faults.after(step, request)
    assert message is not None
    return answer(message, 201)


@router.get(ACCOUNT + "/Messages.json", dependencies=LIVE)
async def index(account: str, request: Request) -> Response:
    store: Store = request.app.state.store
    query = dict(request.query_params)
    paging.check_times(query, ["DateSent"])
    found = [message for message in store.messages.values() if _listed(message, query, store)]
    # Newest first by date sent; what was not sent yet has none and comes before.
    found.sort(key=lambda message: (message.date_sent or float("inf"), message.accepted_at), reverse=True)
    return answer(paging.page(request, "messages", [message.resource() for message in found]))


@router.get(ACCOUNT + "/Messages/{sid}.json", dependencies=LIVE)
async def fetch(account: str, sid: str, request: Request) -> Response:
    message = _find(request, sid)
    store: Store = request.app.state.store
    if time.time() < message.accepted_at + store.scenario(message.to).fetch_lag:
        raise NotFound(request.url.path)
    return answer(message.resource())


@router.post(ACCOUNT + "/Messages/{sid}.json", dependencies=LIVE)
async def update(account: str, sid: str, request: Request) -> Response:
    message = _find(request, sid)
    store: Store = request.app.state.store
    network: Network = request.app.state.network
    form = await request.form()
    if form.get("Status") == "canceled" and "Body" not in form and message.status == "scheduled":
        network.move(message, "canceled")
    elif form.get("Body") == "" and "Status" not in form:
        message.redacted = True
        message.body = ""
        store.save(message)
    else:
        raise TwilioError(30400)
    return answer(message.resource())


@router.delete(ACCOUNT + "/Messages/{sid}.json", status_code=204, dependencies=LIVE)
async def delete(account: str, sid: str, request: Request) -> Response:
    message = _find(request, sid)
    if not message.final:
        raise TwilioError(20009)
    store: Store = request.app.state.store
    store.delete(message)
    return Response(status_code=204)


@router.post(ACCOUNT + "/Messages/{sid}/Feedback.json", status_code=201, dependencies=LIVE)
async def feedback(account: str, sid: str, request: Request) -> Response:
    message = _find(request, sid)
    form = await request.form()
    return answer(
        {"account_sid": account, "message_sid": message.sid, "outcome": form.get("Outcome", "confirmed")}, 201
    )


def failed(error: TwilioError) -> Response:
    """The answer to a TwilioError."""
    headers = _headers()
    if error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:g}"
    return JSONResponse(error.body, error.status, headers)


async def _accept(request: Request, valid: Create, account: str, *, early: bool) -> dict[str, Any]:
    """Takes the message; returns the answer, which shows the status at creation whatever has come since."""
    store: Store = request.app.state.store
    network: Network = request.app.state.network
    message = _message(valid, account, store)
    store.save(message)
    resource = message.resource()
    network.tell({"type": "message", "message": message.record()})
    if valid.scheduled:
        return resource
    if early:
        await network.send_now(message)
    else:
        network.send(message)
    return resource


def _message(valid: Create, account: str, store: Store) -> Message:
    status = "scheduled" if valid.scheduled else "accepted" if valid.service else "queued"
    return Message(
        account_sid=account,
        to=valid.to,
        from_=valid.from_,
        body=valid.body,
        status=status,
        accepted_at=time.time(),
        clock_offset=store.clock_offset,
        messaging_service_sid=valid.service,
        status_callback=valid.status_callback,
        segments=segments(valid.body),
    )


def _listed(message: Message, query: dict[str, str], store: Store) -> bool:
    if time.time() < message.accepted_at + store.scenario(message.to).list_lag:
        return False
    if query.get("To", message.to) != message.to or query.get("From", message.from_) != message.from_:
        return False
    sent = None if message.date_sent is None else message.date_sent + message.clock_offset
    return paging.in_bounds(sent, query, "DateSent")


def _find(request: Request, sid: str) -> Message:
    store: Store = request.app.state.store
    message = store.messages.get(sid)
    if message is None:
        raise NotFound(request.url.path)
    return message


def _basic(header: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _headers() -> dict[str, str]:
    return {
        "Twilio-Request-Id": f"RQ{secrets.token_hex(16)}",
        "Twilio-Concurrent-Requests": "1",
        "Twilio-Request-Duration": "0.010",
        "X-Api-Domain": "api.twilio.com",
    }


def answer(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, _headers())
