"""What a test or a person may do to the phone network, and the record that auditors read."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from simulator.calls import find
from simulator.errors import NotFound
from simulator.network import Network
from simulator.scenario import Scenario
from simulator.store import Store
from simulator.voice import Voice

router = APIRouter(prefix="/simulator")


class Clock(BaseModel):
    """By how many seconds the simulator's dates are wrong."""

    offsetSeconds: float  # noqa: N815  # the wire's name


class Keys(BaseModel):
    """What the person presses."""

    digits: str = Field(pattern=r"^[0-9*#]+$")


class Move(BaseModel):
    """A status that a message gets now."""

    status: str
    errorCode: int | None = None  # noqa: N815


@router.get("/numbers")
async def numbers(request: Request) -> dict[str, Scenario]:
    store: Store = request.app.state.store
    return store.scenarios


@router.get("/numbers/{number}")
async def number(number: str, request: Request) -> Scenario:
    store: Store = request.app.state.store
    return store.scenario(number)


@router.put("/numbers/{number}", status_code=204)
async def set_number(number: str, scenario: Scenario, request: Request) -> Response:
    store: Store = request.app.state.store
    store.set_scenario(number, scenario)
    return Response(status_code=204)


@router.delete("/numbers/{number}", status_code=204)
async def drop_number(number: str, request: Request) -> Response:
    store: Store = request.app.state.store
    store.drop_scenario(number)
    return Response(status_code=204)


@router.put("/defaults", status_code=204)
async def set_defaults(scenario: Scenario, request: Request) -> Response:
    store: Store = request.app.state.store
    store.set_scenario(None, scenario)
    return Response(status_code=204)


@router.put("/clock", status_code=204)
async def set_clock(clock: Clock, request: Request) -> Response:
    store: Store = request.app.state.store
    store.clock_offset = clock.offsetSeconds
    return Response(status_code=204)


@router.post("/reset", status_code=204)
async def reset(request: Request) -> Response:
    store: Store = request.app.state.store
    network: Network = request.app.state.network
    network.forget()
    store.reset()
    request.app.state.desk.reset()
    return Response(status_code=204)


@router.post("/messages/{sid}/callback", status_code=204)
async def move(sid: str, wanted: Move, request: Request) -> Response:
    store: Store = request.app.state.store
    network: Network = request.app.state.network
    message = store.messages.get(sid)
    if message is None:
        raise NotFound(request.url.path)
    network.move(message, wanted.status, wanted.errorCode)
    return Response(status_code=204)


@router.get("/messages")
async def messages(request: Request, to: str | None = None, since: datetime | None = None) -> list[dict[str, Any]]:
    """Every text to a phone that was taken, with each callback and how it was answered."""
    store: Store = request.app.state.store
    return [
        message.record()
        for message in store.messages.values()
        if message.direction != "inbound"
        and (to is None or message.to == to)
        and (since is None or message.accepted_at >= since.timestamp())
    ]


@router.get("/calls")
async def calls(request: Request, to: str | None = None) -> list[dict[str, Any]]:
    """Every call that was taken: what was said and pressed, and each callback with its answers."""
    store: Store = request.app.state.store
    return [call.record() for call in store.calls.values() if to is None or call.to == to]


@router.post("/calls/{sid}/press", status_code=204)
async def press(sid: str, keys: Keys, request: Request) -> Response:
    """409 while nothing listens for keys: before the first `<Gather>`, between two, and after the end."""
    voice: Voice = request.app.state.voice
    if not voice.press(find(request, sid), keys.digits):
        raise HTTPException(409, "The call does not listen for keys now.")
    return Response(status_code=204)


@router.get("/requests")
async def requests(request: Request) -> dict[str, int]:
    """Attempts to create a message, by recipient; those that were not taken too."""
    store: Store = request.app.state.store
    return store.requests


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Server-sent events: every change of a message or call, and every notice to operators."""
    network: Network = request.app.state.network

    async def stream() -> AsyncIterator[str]:
        queue = network.listen()
        try:
            while not request.app.state.stopping.is_set():
                try:
                    event = await asyncio.wait_for(queue.get(), 0.5)
                    yield f"data: {json.dumps(event)}\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            network.unlisten(queue)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
