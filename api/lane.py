"""So many at once; who comes beyond that waits a moment for a place, and is refused when none comes free."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

from telemetry import metrics

PATIENCE = 0.25  # seconds that somebody waits for a place
SLOW = 0.25  # seconds; together with the patience and what lies around both it must stay well below one
ROOM = 1_000  # how many wait at most: memory, not time, is what this bounds

Turn = asyncio.Future[bool]


class Crowded(Exception):
    """No place came free in time."""


class Place:
    """What one holds in a lane until he leaves."""

    def __init__(self, lane: "Lane") -> None:
        self._lane: Lane | None = lane
        self._since = lane.clock()

    def leave(self, *, done: bool | None = None) -> None:
        """For the first time only. `done` tells whether what it was held for was done; None teaches the lane nothing,
        as where somebody was waited for."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.left(self._since, done)


class Lane:
    """As many places as the machine serves quickly, found out by serving: one more for each round without delay, a
    quarter fewer when one was held for longer than `SLOW`. Little's law turns that into a rate on any machine.

    The newest goes first: when more come than can be served, the oldest would be served when he has nearly given up,
    and everybody as late as can be. Where nobody gives up, they keep their order: a batch may tell of one thing twice.
    Callers take turns, so that who floods waits behind himself.
    """

    def __init__(
        self,
        name: str,
        *,
        least: int,
        most: int,
        patience: float | None = PATIENCE,
        room: int = ROOM,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Between `least` and `most` places. `patience` in seconds, None for as long as it takes."""
        self.name = name
        self.clock = clock
        self._least = least
        self._most = most
        self._places = float(min(most, max(least, 16)))
        self._patience = patience
        self._room = room
        self._taken = 0
        self._cut_at = clock()
        self._waiting: dict[str, deque[Turn]] = {}
        """By caller, in the order of their turns."""
        metrics.PLACES.labels(lane=name).set(self.places)

    @property
    def places(self) -> int:
        """How many there are now."""
        return int(self._places)

    async def enter(self, caller: str) -> Place:
        """Raises Crowded."""
        if self._taken < self.places and not self._waiting:
            self._taken += 1
        elif not await self._given(caller):
            raise Crowded
        return Place(self)

    def left(self, since: float, done: bool | None) -> None:
        self._learn(since, done)
        self._taken -= 1
        self._hand_on()

    async def _given(self, caller: str) -> bool:
        if sum(map(len, self._waiting.values())) >= self._room:
            return False
        loop = asyncio.get_running_loop()
        turn: Turn = loop.create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        timer = loop.call_later(self._patience, self._give_up, caller, turn) if self._patience is not None else None
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():  # given, and nobody there to take it
                self._taken -= 1
                self._hand_on()
            else:
                self._forget(caller, turn)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _give_up(self, caller: str, turn: Turn) -> None:
        if not turn.done():
            self._forget(caller, turn)
            turn.set_result(False)

    def _forget(self, caller: str, turn: Turn) -> None:
        turns = self._waiting.get(caller, deque())
        if turn in turns:
            turns.remove(turn)  # the oldest as a rule, and so found at once
            if not turns:
                del self._waiting[caller]

    def _hand_on(self) -> None:
        while self._waiting and self._taken < self.places:
            caller, turns = next(iter(self._waiting.items()))
            del self._waiting[caller]
            turn = turns.pop() if self._patience is not None else turns.popleft()
            if turns:
                self._waiting[caller] = turns  # behind the others
            if not turn.done():
                self._taken += 1
                turn.set_result(True)

    def _learn(self, since: float, done: bool | None) -> None:
        now = self.clock()
        if done is None:
            return
        if now - since > SLOW:
            if since >= self._cut_at:  # those who were in before are late for the same reason
                self._places, self._cut_at = max(float(self._least), self._places * 0.75), now
        elif done and self._taken >= self.places:
            self._places = min(float(self._most), self._places + 1 / self._places)
        metrics.PLACES.labels(lane=self.name).set(self.places)
