"""Callers: they post events, try again until they are answered, and keep what they were answered."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.world import KEY

GIVE_UP_AFTER = 120  # seconds

# What may happen to a text, and how often of a hundred.
FATES: list[tuple[int, str, dict[str, Any]]] = [
    (44, "delivered", {}),
    (4, "undelivered", {"outcome": "undelivered", "errorCode": 30003}),
    (3, "refused", {"outcome": "refused", "errorCode": 21614}),
    (5, "429 storm", {"create": [{"fault": "429"}, {"fault": "429", "retryAfter": 1}]}),
    (4, "5xx, accepted", {"create": [{"fault": "500", "accept": True}]}),
    (3, "5xx, accepted, silent", {"create": [{"fault": "500", "accept": True}], "callbacks": {"lose": "all"}}),
    (4, "5xx, not accepted", {"create": [{"fault": "500", "status": 503}]}),
    (3, "reset, accepted", {"create": [{"fault": "reset", "accept": True}]}),
    (3, "reset, accepted, silent", {"create": [{"fault": "reset", "accept": True}], "callbacks": {"lose": "all"}}),
    (2, "reset, not accepted", {"create": [{"fault": "reset"}]}),
    (2, "time-out, accepted", {"create": [{"fault": "hang", "accept": True, "seconds": 6}]}),
    (1, "time-out, not accepted", {"create": [{"fault": "hang", "seconds": 6}]}),
    (3, "slow", {"create": [{"fault": "slow", "seconds": 1.5}]}),
    (4, "callbacks lost", {"callbacks": {"lose": "all"}}),
    (3, "callbacks repeated", {"callbacks": {"repeat": 3}}),
    (4, "callbacks reordered", {"callbacks": {"reorder": True}}),
    (3, "callbacks contradict", {"callbacks": {"contradict": "undelivered", "contradictAfter": 0.3}}),
    (3, "callbacks early", {"callbacks": {"early": True}, "sentAfter": 0, "finalAfter": 0}),
    (2, "no final status", {"outcome": "sent"}),
]


@dataclass
class Callers:
    """All that callers know."""

    apis: Sequence[str]
    """Each request goes to the next of them."""
    simulator: str
    random: random.Random
    deadline: tuple[int, int]
    """Seconds, from and to: the events' deliveryTimeoutSeconds."""
    list_lag: float
    """Seconds by which the simulator's list may lag behind."""
    fair_weather: bool = False
    """Whether every text is simply delivered."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)
    repeats: int = 0
    tries: int = 0
    gave_up: list[str] = field(default_factory=list)

    async def __aenter__(self) -> "Callers":
        limits = httpx.Limits(max_keepalive_connections=20)
        self._http = httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=10, limits=limits)
        self._phones = httpx.AsyncClient(base_url=self.simulator, timeout=10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._phones.aclose()

    async def run(self, events: int, per_second: float) -> None:
        """Posts so many events, a tenth of them more than once, at this rate."""
        posts = []
        for number in range(events):
            posts.append(asyncio.create_task(self._event(number)))
            await asyncio.sleep(self.random.expovariate(per_second))
        await asyncio.gather(*posts)

    async def _event(self, number: int) -> None:
        fates = FATES[:1] if self.fair_weather else FATES
        _, fate, behaviour = self.random.choices(fates, weights=[weight for weight, _, _ in fates])[0]
        lag = round(self.random.uniform(0, self.list_lag), 1)
        repeats = self.random.choice([0] * 9 + [1, 2])
        event = self.event(f"chaos:{number:06}", f"+1555{3_000_000 + number}")
        kind, fields = self.content(number)
        event |= fields
        self.fates[event["eventId"]] = fate
        await self._behave(event["phone"], behaviour | {"listLag": lag})
        await asyncio.gather(*(self._post(kind, event) for _ in range(1 + repeats // 2)))
        if repeats:
            self.repeats += repeats
            await asyncio.sleep(self.random.uniform(0, 5))
            await self._post(kind, event)

    def event(self, event_id: str, phone: str) -> dict[str, Any]:
        """What every kind has."""
        return {
            "eventId": event_id,
            "phone": phone,
            "consentAt": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
            "deliveryTimeoutSeconds": self.random.randint(*self.deadline),
        }

    def content(self, number: int) -> tuple[str, dict[str, Any]]:
        """The kind of an event, and what that alone has."""
        return "order-shipped", {"orderId": str(number)}

    async def _behave(self, phone: str, scenario: dict[str, Any]) -> None:
        await self._until_taken(self._phones, "PUT", f"/simulator/numbers/{phone}", scenario)

    async def _post(self, kind: str, event: dict[str, Any]) -> None:
        answer = await self._until_taken(self._http, "POST", f"/api/{kind}-sms", event)
        if answer is None:
            self.gave_up.append(event["eventId"])
            return
        self.acknowledged[event["eventId"]] = event["phone"]
        self.answers.setdefault(event["eventId"], []).append(answer.json())

    async def _until_taken(
        self, http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
    ) -> httpx.Response | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + GIVE_UP_AFTER
        while loop.time() < until:
            self.tries += 1
            # A client without an address of its own talks to the APIs.
            url = path if http.base_url.host else f"{self.apis[self.tries % len(self.apis)]}{path}"
            try:
                answer = await http.request(method, url, json=body)
            except httpx.HTTPError:
                await asyncio.sleep(0.3)
                continue
            if answer.status_code < 300:
                return answer
            if answer.status_code < 500:
                raise AssertionError(f"{path} answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(min(float(answer.headers.get("retry-after", 1)), 2))
        return None
