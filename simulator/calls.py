"""Twilio's REST API for calls, version 2010-04-01."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from simulator import faults, paging
from simulator.call import Call
from simulator.config import SimulatorConfig
from simulator.errors import NotFound, TwilioError
from simulator.rest import ACCOUNT, LIVE, Test, answer
from simulator.scenario import Step
from simulator.store import Store
from simulator.validation import Dial, validated_call
from simulator.voice import Voice

router = APIRouter()


@router.post(ACCOUNT + "/Calls.json")
async def create(account: str, test: Test, request: Request) -> Response:
    store: Store = request.app.state.store
    config: SimulatorConfig = request.app.state.config
    sent = await request.form()
    form = {name: str(value) for name, value in sent.items()}
    events = [str(event) for event in sent.getlist("StatusCallbackEvent")]
    valid = validated_call(form, events, config, test=test)
    if test:
        return answer(_call(valid, account, store).resource(), 201)
    step = store.next_step(valid.to) or Step(fault="none")
    await faults.before(step)
    resource = _accept(request, valid, account) if faults.taken(step) else None
    await faults.after(step, request)
    assert resource is not None
    return answer(resource, 201)


@router.get(ACCOUNT + "/Calls.json", dependencies=LIVE)
async def index(account: str, request: Request) -> Response:
    store: Store = request.app.state.store
    query = dict(request.query_params)
    paging.check_times(query, ["StartTime", "EndTime"])
    found = [call for call in store.calls.values() if _listed(call, query, store)]
    return answer(paging.page(request, "calls", [call.resource() for call in reversed(found)]))


@router.get(ACCOUNT + "/Calls/{sid}.json", dependencies=LIVE)
async def fetch(account: str, sid: str, request: Request) -> Response:
    call = find(request, sid)
    store: Store = request.app.state.store
    if time.time() < call.accepted_at + store.scenario(call.to).fetch_lag:
        raise NotFound(request.url.path)
    return answer(call.resource())


@router.post(ACCOUNT + "/Calls/{sid}.json", dependencies=LIVE)
async def update(account: str, sid: str, request: Request) -> Response:
    """`canceled` stops the ringing and leaves a call in progress alone; `completed` ends either."""
    call = find(request, sid)
    voice: Voice = request.app.state.voice
    form = await request.form()
    wanted = form.get("Status")
    if form.get("Url") or form.get("Twiml"):
        raise TwilioError(21205)
    if wanted not in ("canceled", "completed"):
        raise TwilioError(20422)
    if call.final:
        raise TwilioError(21220)
    if wanted == "completed" or call.status != "in-progress":
        voice.end(call)
    return answer(call.resource())


@router.delete(ACCOUNT + "/Calls/{sid}.json", status_code=204, dependencies=LIVE)
async def delete(account: str, sid: str, request: Request) -> Response:
    call = find(request, sid)
    if not call.final:
        raise TwilioError(20009)
    store: Store = request.app.state.store
    store.delete_call(call)
    return Response(status_code=204)


def find(request: Request, sid: str) -> Call:
    """Raises NotFound."""
    store: Store = request.app.state.store
    call = store.calls.get(sid)
    if call is None:
        raise NotFound(request.url.path)
    return call


def _accept(request: Request, valid: Dial, account: str) -> dict[str, Any]:
    """Takes the call; returns the answer, which shows the status at creation."""
    store: Store = request.app.state.store
    voice: Voice = request.app.state.voice
    call = _call(valid, account, store)
    store.save_call(call)
    resource = call.resource()
    voice.dial(call)
    return resource


def _call(valid: Dial, account: str, store: Store) -> Call:
    return Call(
        account_sid=account,
        to=valid.to,
        from_=valid.from_,
        twiml=valid.twiml,
        accepted_at=time.time(),
        timeout=valid.timeout,
        status_callback=valid.status_callback,
        status_callback_method=valid.status_callback_method,
        events=valid.events,
        clock_offset=store.clock_offset,
    )


def _listed(call: Call, query: dict[str, str], store: Store) -> bool:
    if time.time() < call.accepted_at + store.scenario(call.to).list_lag or query.get("ParentCallSid"):
        return False
    wanted = {"To": call.to, "From": call.from_, "Status": call.status}
    if any(query.get(name, value) != value for name, value in wanted.items()):
        return False
    return all(
        paging.in_bounds(None if moment is None else moment + call.clock_offset, query, name)
        for name, moment in (("StartTime", call.rang_at), ("EndTime", call.ended_at))
    )
