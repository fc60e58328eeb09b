"""Who is around in a soak: callers with events of many kinds, their webhooks' endpoint, and operators who clear up."""

import asyncio
import itertools
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.chaos.campaign import Ground
from tests.chaos.load import FATES, Callers
from tests.chaos.network import OperatorsDesk
from tests.world import KEY

KINDS = (
    ("order-shipped", 40),
    ("out-for-delivery", 20),
    ("support-ack", 20),
    ("appointment-reminder", 10),
    ("order-delayed", 10),
)
BRIEF = ("delivered", "undelivered", "refused")  # fates that are over at once
HELD_FOR = (5, 40)  # seconds until a reminder is due
NOT_TAKEN = 2  # of a hundred webhooks


class MixedCallers(Callers):
    """Every kind that makes one text. Alerts make several, and one that is unknown is sent again on purpose."""

    _measured = itertools.count()

    def content(self, number: int) -> tuple[str, dict[str, Any]]:
        [kind] = self.random.choices([kind for kind, _ in KINDS], weights=[weight for _, weight in KINDS])
        return kind, _fields(kind, number, due_in=self.random.uniform(*HELD_FOR))

    async def begin(self, event_id: str) -> None:
        """One event of any kind, due at once, that ends within a second: as often as in the load not at the handset."""
        number = next(self._measured)
        kind = list(itertools.chain(*([kind] * (weight // 10) for kind, weight in KINDS)))[number % 10]
        event = self.event(event_id, f"+1555{9_000_000 + number}") | _fields(kind, number, due_in=0)
        fates = [behaviour for weight, name, behaviour in FATES for _ in range(weight) if name in BRIEF]
        await self._behave(event["phone"], {"listLag": 0} | fates[number % len(fates)])
        await self._post(kind, event)


def _fields(kind: str, number: int, *, due_in: float) -> dict[str, Any]:
    if kind == "support-ack":
        return {"ticketId": f"T-{number}"}
    if kind == "appointment-reminder":
        starts = datetime.now(UTC) + timedelta(hours=1, seconds=due_in)
        return {"appointmentId": f"A-{number}", "startsAt": starts.isoformat(), "remindBefore": ["PT1H"]}
    return {"orderId": str(number)}


class CallersDesk(OperatorsDesk):
    """Takes callers' webhooks, most of them, and keeps what they say."""

    def __init__(self, secret: str, rng: random.Random) -> None:
        super().__init__(secret)
        self._random = rng
        self._waited_for: dict[str, asyncio.Event] = {}
        self.patient = False  # whether it takes everything

    def keep(self, told: dict[str, Any]) -> int:
        if not self.patient and self._random.randrange(100) < NOT_TAKEN:
            return 503
        event_id, what = told["data"]["eventId"], told["type"].removeprefix("notification.")
        known = self.notices.setdefault(event_id, [])
        if what not in known:
            known.append(what)
        if (waiting := self._waited_for.pop(event_id, None)) is not None:
            waiting.set()
        return 204

    async def told(self, event_id: str) -> None:
        """Returns once a caller was told of the event's end."""
        if event_id not in self.notices:
            await self._waited_for.setdefault(event_id, asyncio.Event()).wait()


class Clerk:
    """Operators: who is told of a text that has no end looks at Twilio's record, and sees that it gets one.

    Without them each of these would be waited for during a day, as it should, and nothing would be steady.
    """

    SLEEPS_OVER_IT = 15.0  # seconds; by then Twilio has what it will ever have

    def __init__(self, ground: Ground) -> None:
        self._desk, self._phones = ground.desk, ground.callers.acknowledged
        self._api, self._simulator = ground.stack.api_url, ground.stack.simulator_url
        self.delivered_late = 0
        self.sent_again = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        due: dict[str, float] = {}
        done: set[str] = set()
        loop = asyncio.get_running_loop()
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            httpx.AsyncClient(base_url=self._api, headers=headers, timeout=10) as api,
            httpx.AsyncClient(base_url=self._simulator, timeout=10) as simulator,
        ):
            while not stop.is_set():
                for event_id in list(self._desk.notices):
                    if event_id not in done and event_id in self._phones:
                        due.setdefault(event_id, loop.time() + self.SLEEPS_OVER_IT)
                for event_id in [one for one, at in due.items() if at <= loop.time()]:
                    due[event_id] = loop.time() + self.SLEEPS_OVER_IT
                    with suppress(httpx.HTTPError):
                        if await self._clear(api, simulator, event_id):
                            del due[event_id]
                            done.add(event_id)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1)

    async def _clear(self, api: httpx.AsyncClient, simulator: httpx.AsyncClient, event_id: str) -> bool:
        """Whether it has an end. Raises HTTPError."""
        story = await api.get(f"/api/notifications/{event_id}")
        if story.status_code != 200 or (status := story.json()["status"]) not in ("unknown", "sent"):
            return story.status_code == 200 and status not in ("pending", "held", "sending")
        phone = self._phones[event_id]
        (await simulator.delete(f"/simulator/numbers/{phone}")).raise_for_status()
        texts = (await simulator.get("/simulator/messages", params={"to": phone})).raise_for_status().json()
        if texts:
            [text] = texts
            ended = text["status"] in ("delivered", "undelivered", "failed")
            move = {"status": text["status"] if ended else "delivered", "errorCode": text["error_code"]}
            (await simulator.post(f"/simulator/messages/{text['sid']}/callback", json=move)).raise_for_status()
            self.delivered_late += 1
        else:
            order = {"reason": "Twilio has no text to this phone", "force": True}
            self.sent_again += (await api.post(f"/api/notifications/{event_id}/resend", json=order)).is_success
        return False
