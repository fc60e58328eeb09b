"""Who is let in when more come than can be served: the others are told at once to come again, and nothing was done.

The bodies have come by then, so that nobody holds a place with one that trickles; nothing of them has been read.
Twilio's callbacks, replies from phones, what operators ask for, health and metrics pass by it.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import presented
from api.answer_status import AnswerStatus
from api.lane import Crowded, Lane
from api.problems import Problem, answer
from api.request_log import QUIET
from notifications.kinds import KINDS
from notifications.policy import Priority
from telemetry import metrics

EVENTS, INCIDENTS, BATCHES, CHECKS, ITEMS = metrics.LANES
AGAIN_AFTER = (1, 4)  # seconds, from and to: chance keeps those who were refused together from coming back together
WAITS_NO_LONGER_THAN = 1.0  # seconds that `Prefer: wait` holds a place; from then on it waits for others, not for us
REFUSALS_PER_SECOND = 500  # at some 0.3 ms each they leave the event loop to those who were let in
HELD_NO_LONGER_THAN = 1.0  # seconds
SAY_EVERY = 10.0  # seconds

log = structlog.stdlib.get_logger("heliograph.admission")


def lanes(batches: str) -> dict[str, Lane]:
    """By the path that is posted to; `batches` is that of many events at once.

    Incidents have places of their own, and keep more of them. A batch holds its place for long, and those of its events
    come from another lane (`items`): one in a crowd of batches must not slow down what comes singly. Login checks wait
    for Twilio, which costs us little.
    """
    events = Lane(EVENTS, least=2, most=64)
    incidents = Lane(INCIDENTS, least=4, most=32, patience=0.5)  # they come in bursts, and callers insist
    checks = Lane(CHECKS, least=64, most=64)
    of_kinds = {
        f"/api/{kind}-sms": incidents if event.policy.priority is Priority.URGENT else events
        for kind, event in KINDS.items()
    }
    return of_kinds | {
        batches: Lane(BATCHES, least=4, most=4, room=8),
        "/api/verify/start": checks,
        "/api/verify/check": checks,
    }


def items() -> Lane:
    """For the events of all batches together; they wait as long as it takes."""
    return Lane(ITEMS, least=2, most=16, patience=None, room=1_000_000)


class Admission:
    """Answers 503 `overloaded` where a lane is full, before anything of the request is looked at but its key."""

    def __init__(self, app: ASGIApp, lanes: Mapping[str, Lane], caller_of: Callable[[str], str]) -> None:
        """`caller_of` names whose key it is. Unknown ones count as one caller: they get their 401 in turn."""
        self._app = app
        self._lanes = lanes
        self._caller_of = caller_of
        self._pace = _Pace()
        self._told = {lane.name: _Told(lane.name) for lane in lanes.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane = self._lanes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if lane is None:
            return await self._app(scope, receive, send)
        waits = scope["path"].endswith("-sms") and any(
            name == b"prefer" and b"wait" in value.lower() for name, value in scope["headers"]
        )
        try:
            place = await lane.enter(self._caller_of(presented(scope)))
        except Crowded:
            scope[QUIET] = True
            self._told[lane.name].one_more()
            await self._pace.turn()
            return await answer(overloaded())(scope, receive, send)
        status = AnswerStatus(send)
        if waits:
            asyncio.get_running_loop().call_later(WAITS_NO_LONGER_THAN, place.leave)
        try:
            return await self._app(scope, receive, status.send)
        finally:
            place.leave(done=None if waits else status.value < 400)


def overloaded() -> Problem:
    seconds = random.randint(*AGAIN_AFTER)
    return Problem(
        503,
        "overloaded",
        f"More comes in than can be taken. Nothing was done; try again in {seconds} s.",
        details={"retryAfterSeconds": seconds},
        headers={"Retry-After": str(seconds)},
    )


class _Pace:
    """Spreads refusals out: hundreds of clients that come again at once when they are refused would take up the event
    loop with nothing else, all of them in the same moment."""

    def __init__(self) -> None:
        self._next = 0.0

    async def turn(self) -> None:
        now = monotonic()
        self._next = min(max(now, self._next + 1 / REFUSALS_PER_SECOND), now + HELD_NO_LONGER_THAN)
        if self._next > now:
            await asyncio.sleep(self._next - now)


@dataclass(slots=True)
class _Told:
    """Counts who was refused, and says so in the log now and then."""

    lane: str
    _since: int = 0
    _at: float = field(default=-SAY_EVERY)

    def one_more(self) -> None:
        metrics.SHED.labels(lane=self.lane).inc()
        self._since += 1
        if monotonic() - self._at >= SAY_EVERY:
            log.warning("more comes in than can be taken", lane=self.lane, refused=self._since)
            self._since, self._at = 0, monotonic()


def describe(app: FastAPI, paths: Iterable[str]) -> None:
    """In the OpenAPI document, how these paths refuse."""
    document = app.openapi()
    for path in paths:
        refusal = document["paths"][path]["post"]["responses"]["503"]
        refusal["description"] = (
            "Nothing was done, and the same may be sent again after `Retry-After`: `overloaded` when more comes in "
            "than can be taken, `unavailable` while a part that is needed cannot be reached."
        )
        refusal["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
