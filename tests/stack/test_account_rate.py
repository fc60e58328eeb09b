"""A backlog behind the account's rate: the rate holds whatever workers there are, and who must not wait does not.

`BACKLOG=10000 RATE=20 python -m pytest -n 0 -s tests/stack/test_account_rate.py` is the long form, some minutes long.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from devstack.stack import Ports, Stack
from engine import connect
from tests.drafts import request
from tests.world import KEY, Phones, bootstrapped, settings_for, stack_environment
from workflows import names
from workflows.dispatch import Dispatch

pytestmark = pytest.mark.timeout(900)

BACKLOG = int(os.environ.get("BACKLOG", "300"))
RATE = float(os.environ.get("RATE", "5"))  # a second; less than the machine could send
WATCHED = float(os.environ.get("WATCHED", "12"))  # seconds
LONG = "BACKLOG" in os.environ
WORKERS = 3
OTHER_KEY = "another-key-for-the-backlog"


@dataclass(frozen=True, slots=True)
class Sent:
    """What reached Twilio, in this order."""

    at: float
    to: str


@dataclass(frozen=True, slots=True)
class Overtaking:
    """An event that was posted while the backlog waited."""

    name: str
    accepted: float
    left: float

    def passed(self, sent: list[Sent]) -> int:
        """How many others left before it, from its acceptance on."""
        return sum(self.accepted < one.at < self.left for one in sent)


@dataclass(frozen=True, slots=True)
class Backlog:
    stack: Stack
    phones: Phones
    temporal: Client

    async def sent(self) -> list[Sent]:
        async with httpx.AsyncClient(base_url=self.stack.simulator_url, timeout=60) as http:
            found = (await http.get("/simulator/messages")).json()
        texts = (Sent(datetime.fromisoformat(one["accepted_at"]).timestamp(), one["to"]) for one in found)
        return sorted(texts, key=lambda one: one.at)

    async def until_queued(self) -> None:
        """Returns once every update waits for the account's rate, and none for its workflow to begin; or after a
        minute, since the sends may leave the machine no time for that."""
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace,
            task_queue=TaskQueue(name=names.TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            report_stats=True,
        )
        for _ in range(60):
            found = await self.temporal.workflow_service.describe_task_queue(request)
            if found.stats.approximate_backlog_age.ToTimedelta() < timedelta(seconds=1):
                return
            await asyncio.sleep(1)

    async def alert(self, name: str, phone: str) -> Overtaking:
        event = {
            "eventId": name, "groupKey": name, "service": "checkout-api", "severity": "low",
            "summary": "it is on fire", "contacts": [{"phone": phone}], "consentAt": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        accepted = await self.post("/api/incident-alert-sms", event, KEY)
        return Overtaking(name, accepted, await self.texted(phone))

    async def order(self, name: str, phone: str) -> Overtaking:
        """Another caller's."""
        event = {"eventId": name, "phone": phone, "orderId": "1", "consentAt": "2026-01-01T00:00:00Z"}
        accepted = await self.post("/api/order-shipped-sms", event, OTHER_KEY)
        return Overtaking(name, accepted, await self.texted(phone))

    async def post(self, path: str, event: dict[str, Any], key: str) -> float:
        """When it was accepted."""
        async with httpx.AsyncClient(base_url=self.stack.api_url, timeout=30) as http:
            answer = await http.post(path, json=event, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 202, answer.text
        return datetime.now(UTC).timestamp()

    async def texted(self, phone: str) -> float:
        """When it reached Twilio."""
        async with asyncio.timeout(60):
            while not (texts := await self.phones.texts(phone)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return datetime.fromisoformat(texts[0]["accepted_at"]).timestamp()


@asynccontextmanager
async def backlog(folder: Path) -> AsyncIterator[Backlog]:
    """One caller's shipping updates are queued, and then the workers start, each a process of its own."""
    stack = Stack(Ports.free(), folder, {})
    stack.environment = stack_environment(stack) | {"API_KEYS": f"shop={KEY},other={OTHER_KEY}"}
    stack.data.mkdir()
    try:
        await asyncio.to_thread(stack.start_temporal)
        await asyncio.to_thread(stack.start_simulator)
        settings = settings_for(
            folder,
            payload_keys="",
            pii_hash_key=None,
            temporal_address=f"127.0.0.1:{stack.ports.temporal}",
            simulator_port=stack.ports.simulator,
            send_rate_per_second=RATE,
        )
        client = await connect(settings)
        await bootstrapped(settings, client)
        await asyncio.to_thread(stack.start_api)
        dispatch, places = Dispatch(client), asyncio.Semaphore(64)

        async def start(number: int) -> None:
            async with places:
                await dispatch.start(request(f"+1555{1_000_000 + number}", event_id=f"order-{number}"))

        await asyncio.gather(*(start(number) for number in range(BACKLOG)))
        phones = Phones(stack.simulator_url)
        for number in range(WORKERS):
            await asyncio.to_thread(stack.start_worker, f"worker-{number}")
        yield Backlog(stack, phones, client)
        await phones.close()
    finally:
        await asyncio.to_thread(stack.stop)


def most_over(rate: float, sent: list[Sent]) -> float:
    """By how many texts any stretch of time holds more than the rate allows in it."""
    over = [
        (last - first + 1) - rate * (sent[last].at - sent[first].at)
        for first in range(len(sent))
        for last in range(first, len(sent))
    ]
    return max(over)


async def test_behind_a_backlog_an_alert_leaves_at_once_and_another_caller_in_his_turn(tmp_path: Path) -> None:
    async with backlog(tmp_path / "stack") as queued:
        async with asyncio.timeout(60):
            while len(await queued.sent()) < 2 * RATE:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        early = await queued.alert("alert:while-workflows-begin", "+15557770003")
        await queued.until_queued()
        alert = await queued.alert("alert:behind-the-rate", "+15557770001")
        order = await queued.order("order:of-another-caller", "+15557770002")
        await asyncio.sleep(WATCHED)
        sent = await queued.sent()
    over, seconds = most_over(RATE, sent), sent[-1].at - sent[0].at
    print(f"{len(sent)} of {BACKLOG} left in {seconds:.1f} s, at most {over:.1f} above {RATE:g} a second")  # noqa: T201
    for one in (early, alert, order):
        print(f"{one.name}: {one.left - one.accepted:.2f} s, {one.passed(sent)} left before it")  # noqa: T201
    assert len(sent) < BACKLOG  # it still waited when it was overtaken
    assert over <= 2 * RATE + 5  # what a second allows may come at once, and some are held up on their way
    assert len(sent) > 0.6 * RATE * seconds  # the rate was what held it back
    assert early.passed(sent) <= 4 * RATE  # this machine's processors are all that it waits for
    assert max(alert.passed(sent), order.passed(sent)) <= (1 if LONG else 2) * RATE + 1
    assert not LONG or max(alert.left - alert.accepted, order.left - order.accepted) < 1
