"""The whole service as processes, killed at bad moments; afterwards nothing personal is in anything it wrote."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.processes import Process
from devstack.stack import Ports, Stack
from tests.world import KEY, Phones, World, stack_environment

CANARY_ORDER = "canary-order-7319"


class Whole(World):
    """A stack of processes, spoken to over HTTP alone."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.phones = Phones(stack.simulator_url)
        self.posted = []
        self.numbers: list[str] = []
        self.http = httpx.AsyncClient(base_url=stack.api_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=15)

    def event(self, **fields: Any) -> dict[str, Any]:
        event = super().event(orderId=CANARY_ORDER, **fields)
        self.numbers.append(event["phone"])
        return event

    def part(self, name: str) -> Process:
        return self.stack.processes[name]

    async def post_until_taken(self, event: dict[str, Any]) -> None:
        """As a careful caller does: the same event again until it is answered."""
        for _ in range(100):
            try:
                if (await self.post(event)).status_code in (200, 202):
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("it was never taken")


@pytest.fixture(scope="module")
async def whole(data: Path) -> AsyncIterator[Whole]:
    stack = Stack(Ports.free(), data / "whole", {})
    stack.environment = {
        **stack_environment(stack),
        "LOG_LEVEL": "DEBUG",
        "TWILIO_READ_TIMEOUT_SECONDS": "5",
        "TWILIO_AUTH_TOKEN": "canary-auth-token-4711",
        "TWILIO_ACCOUNT_SID": "AC" + "c" * 32,
        "TWILIO_FROM_NUMBER": "+15005550006",
        "TWILIO_API_BASE_URL": stack.simulator_url,
    }
    try:
        await asyncio.to_thread(stack.start)
        whole = Whole(stack)
        yield whole
        await whole.http.aclose()
        await whole.phones.close()
    finally:
        await asyncio.to_thread(stack.stop)


async def test_an_event_is_delivered_and_its_repeat_sends_nothing(whole: Whole) -> None:
    event = whole.event()
    assert (await whole.post(event)).status_code == 202
    story = await whole.until(event["eventId"], "delivered")
    assert (await whole.post(event)).json()["sid"] == story["sid"]
    assert await whole.phones.requests(event["phone"]) == 1


async def test_a_worker_that_is_killed_while_it_posts_does_not_text_twice(whole: Whole) -> None:
    event = whole.event()
    await whole.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 1.5}])
    await whole.post(event)
    await requested(whole, event)
    whole.part("worker").kill()
    await asyncio.to_thread(whole.stack.start_worker)
    story = await whole.until(event["eventId"], "delivered", seconds=40)
    [text] = await whole.phones.texts(event["phone"])
    assert story["sid"] == text["sid"]
    assert await whole.phones.requests(event["phone"]) == 1


async def test_a_worker_that_is_killed_while_twilio_takes_nothing_leaves_it_unknown(whole: Whole) -> None:
    event = whole.event(deliveryTimeoutSeconds=20)
    await whole.phones.behave(event["phone"], create=[{"fault": "hang", "accept": False, "seconds": 3}])
    await whole.post(event)
    await requested(whole, event)
    whole.part("worker").kill()
    await asyncio.to_thread(whole.stack.start_worker)
    story = await whole.until(event["eventId"], lambda story: "escalated" in story, seconds=60)
    assert story["escalated"] == "unknown"
    assert await whole.phones.requests(event["phone"]) == 1


async def test_a_worker_that_is_told_to_stop_finishes_its_send(whole: Whole) -> None:
    event = whole.event()
    await whole.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 2}], callbacks={"lose": "all"})
    await whole.post(event)
    await requested(whole, event)
    os.kill(whole.part("worker").pid, signal.SIGTERM)
    await asyncio.to_thread(whole.part("worker").finish, 20)
    await asyncio.to_thread(whole.stack.start_worker)
    story = await whole.until(event["eventId"], "sent")
    assert (story["attempts"], [entry["what"] for entry in story["timeline"]]) == (1, ["requested", "claimed", "sent"])


async def test_temporal_that_is_killed_loses_nothing_and_repeats_nothing(whole: Whole) -> None:
    events = [whole.event() for _ in range(20)]
    posting = [asyncio.create_task(whole.post_until_taken(event)) for event in events]
    await asyncio.sleep(0.15)
    whole.part("temporal").kill()
    await asyncio.to_thread(whole.stack.start_temporal)
    await asyncio.gather(*posting)
    for event in events:
        await whole.until(event["eventId"], "delivered", seconds=40)
        assert await whole.phones.requests(event["phone"]) == 1


async def test_an_api_that_is_killed_misses_callbacks_and_the_carrier_is_asked(whole: Whole) -> None:
    event = whole.event(deliveryTimeoutSeconds=6)
    await whole.phones.behave(event["phone"], sentAfter=0.5, finalAfter=0.8)
    await whole.post(event)
    await requested(whole, event)
    whole.part("api").kill()
    await asyncio.sleep(2.5)
    await asyncio.to_thread(whole.stack.start_api)
    story = await whole.until(event["eventId"], "delivered", seconds=30)
    assert "escalated" not in story


async def test_refusals_and_bad_input_go_through_too(whole: Whole) -> None:
    event = whole.event(operatorNote="canary-note-0815")
    await whole.phones.behave(event["phone"], outcome="refused", errorCode=21211)
    await whole.post(event)
    await whole.until(event["eventId"], lambda story: "escalated" in story)
    await whole.post(whole.event(consentAt="canary-nonsense"))
    await whole.http.post("/api/order-shipped-sms", content=f'{{"phone": "{event["phone"]}"')
    await whole.http.get("/api/notifications/unknown-event", headers={"Authorization": "Bearer canary-wrong-key"})
    await whole.http.post("/twilio/status-callback?eventId=x", data={"To": event["phone"], "Body": CANARY_ORDER})


async def test_nothing_personal_is_in_anything_that_was_written(whole: Whole) -> None:
    """The last one here: it reads what all the others have left behind."""
    metrics = (await whole.http.get("/metrics")).text
    canaries = [CANARY_ORDER, "canary-auth-token", KEY, "canary-wrong-key", "canary-note"]
    canaries += [number[1:] for number in whole.numbers]
    files = [path for path in whole.stack.data.rglob("*") if path.is_file() and "simulator.db" not in path.name]
    assert {"temporal.db", "heliograph.db", "api.log", "worker.log"} <= {path.name for path in files}
    assert len(whole.numbers) > 20
    for path in files:
        written = path.read_bytes()
        for canary in canaries:
            assert canary.encode() not in written, f"{canary} is in {path.name}"
    assert not [canary for canary in canaries if canary in metrics]
    assert (
        CANARY_ORDER.encode()
        in (whole.stack.data / "simulator.db").read_bytes() + (whole.stack.data / "simulator.db-wal").read_bytes()
    ), "the search finds what is there"


async def requested(whole: Whole, event: dict[str, Any]) -> None:
    """Returns once Twilio has the request and has not answered it yet."""
    for _ in range(500):
        if await whole.phones.requests(event["phone"]):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("Twilio was not asked")
