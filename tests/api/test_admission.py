"""More than can be served: who is let in, who is told to come again, and that nothing else suffers from it."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api import admission
from api.lane import Crowded, Lane, Place
from tests.world import World

FULL = 30  # at once


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def narrow(places: int = 1, **options: Any) -> Lane:
    """A lane that does not learn."""
    return Lane("events", **{"least": places, "most": places, "patience": 0.1} | options)


async def entering(lane: Lane, *callers: str) -> list[asyncio.Task[Place]]:
    """Tasks that wait for their places, in this order."""
    tasks = []
    for caller in callers:
        tasks.append(asyncio.create_task(lane.enter(caller)))
        await asyncio.sleep(0)
    return tasks


async def let_in(tasks: list[asyncio.Task[Place]]) -> list[int]:
    await asyncio.sleep(0.01)
    return [number for number, task in enumerate(tasks) if task.done() and not task.exception()]


async def test_who_finds_no_place_waits_for_one_and_is_refused_after_a_moment() -> None:
    lane = narrow()
    place = await lane.enter("shop")
    began = asyncio.get_running_loop().time()
    with pytest.raises(Crowded):
        await lane.enter("shop")
    assert 0.09 < asyncio.get_running_loop().time() - began < 5
    place.leave()
    await lane.enter("shop")


async def test_the_newest_goes_first() -> None:
    lane = narrow()
    place = await lane.enter("shop")
    waiting = await entering(lane, "shop", "shop", "shop")
    place.leave()
    assert await let_in(waiting) == [2]


async def test_callers_take_turns() -> None:
    lane = narrow()
    place = await lane.enter("flood")
    waiting = await entering(lane, "flood", "other", "flood", "flood")
    order = []
    for _ in range(3):
        place.leave()
        [number] = [number for number in await let_in(waiting) if number not in order]
        order.append(number)
        place = waiting[number].result()
    assert order == [3, 1, 2]


async def test_who_waits_as_long_as_it_takes_keeps_his_place_in_the_order() -> None:
    lane = narrow(patience=None)
    place = await lane.enter("shop")
    waiting = await entering(lane, "shop", "shop")
    place.leave()
    assert await let_in(waiting) == [0]


async def test_a_place_that_was_given_to_somebody_who_is_gone_goes_to_the_next() -> None:
    lane = narrow()
    place = await lane.enter("shop")
    waiting = await entering(lane, "shop", "shop", "shop")
    waiting[1].cancel()  # while he waits
    await asyncio.sleep(0)
    place.leave()
    waiting[2].cancel()  # at the moment when it is given to him
    assert await let_in([waiting[0]]) == [0]
    waiting[0].result().leave()
    await asyncio.wait_for(lane.enter("shop"), 0.05)


async def test_no_more_than_the_room_holds_wait() -> None:
    lane = narrow(room=2, patience=None)
    await lane.enter("shop")
    waiting = await entering(lane, "shop", "other")
    with pytest.raises(Crowded):
        await lane.enter("third")
    assert await let_in(waiting) == []


async def test_a_place_is_left_once() -> None:
    lane = narrow()
    place = await lane.enter("shop")
    place.leave()
    place.leave(done=True)
    await lane.enter("shop")
    with pytest.raises(Crowded):
        await lane.enter("shop")


async def served(lane: Lane, clock: Clock, seconds: float, *, rounds: int = 1, done: bool | None = True) -> None:
    """All places taken, for so long, so many times."""
    for _ in range(rounds):
        places = [await lane.enter("shop") for _ in range(lane.places)]
        clock.now += seconds
        for place in places:
            place.leave(done=done)


async def test_places_grow_while_they_are_served_quickly_and_shrink_by_a_quarter_a_round_when_not() -> None:
    clock = Clock()
    lane = Lane("events", least=2, most=64, clock=clock)
    began = lane.places
    await served(lane, clock, 0.05, rounds=200)
    assert began < lane.places <= 64
    grown = lane.places
    await served(lane, clock, 0.4)
    assert 0.7 * grown < lane.places < 0.8 * grown  # once, although all of them were late
    await served(lane, clock, 0.4, rounds=30)
    assert lane.places == 2


@pytest.mark.parametrize("done", [False, None])
async def test_what_was_not_done_does_not_make_more_places(done: bool | None) -> None:
    clock = Clock()
    lane = Lane("events", least=2, most=64, clock=clock)
    before = lane.places
    await served(lane, clock, 0.001, rounds=50, done=done)
    assert lane.places == before


async def test_a_machine_of_any_speed_is_kept_busy_without_a_long_wait() -> None:
    """Little's law: what the machine serves in SLOW seconds is in at once, and hardly more."""
    for per_second in (8, 40, 400):
        clock, chance = Clock(), random.Random(1)
        lane = Lane("events", least=2, most=64, clock=clock)
        waits: list[float] = []
        for _ in range(400):
            spent = lane.places / per_second * chance.uniform(0.8, 1.2)  # all share one machine
            waits.append(spent)
            await served(lane, clock, spent)
        assert sorted(waits[100:])[297] < 0.5


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places in each lane."""
    monkeypatch.setattr(Lane, "places", 2)


@asynccontextmanager
async def locked(world: World) -> AsyncIterator[None]:
    """Nobody else can write to the database, so that every post takes as long as this does."""
    path = world.settings.database.removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@asynccontextmanager
async def crowded(world: World) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """More orders than there are places, each of which is held; those that find none have been refused by now."""
    async with locked(world):
        posts = [asyncio.create_task(world.post(world.event())) for _ in range(FULL)]
        async with asyncio.timeout(5):  # the others hold what places there are until the database is free again
            while len(shed(posts)) < FULL - 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield posts
    await asyncio.gather(*posts)


def shed(posts: list[asyncio.Task[httpx.Response]]) -> list[httpx.Response]:
    return [post.result() for post in posts if post.done() and post.result().status_code == 503]


@pytest.mark.usefixtures("few")
async def test_who_is_too_many_is_told_soon_when_to_come_again_and_nothing_was_done(world: World) -> None:
    async with crowded(world) as posts:
        early = shed(posts)
    refused, taken = shed(posts), [post.result() for post in posts if post.result().status_code == 202]
    assert len(early) == len(refused)
    assert len(refused) + len(taken) == FULL
    for answer in refused:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["error"] == "overloaded"
        assert answer.json()["details"] == {"retryAfterSeconds": int(answer.headers["retry-after"])}
        assert answer.headers["cache-control"] == "no-store"
    assert {int(answer.headers["retry-after"]) for answer in refused} <= {1, 2, 3, 4}
    assert len({answer.headers["retry-after"] for answer in refused}) > 1
    assert len(taken) == 2
    accepted = {answer.json()["eventId"] for answer in taken}
    for event_id in world.posted[-FULL:]:
        if event_id in accepted:
            await world.until(event_id, "delivered", seconds=60)
        else:
            assert (await world.story(event_id))["status"] == "nothing"


@pytest.mark.usefixtures("few")
async def test_an_alert_a_login_check_and_a_batch_are_let_in_while_orders_are_refused(world: World) -> None:
    event = world.event()
    alert = {
        "eventId": event["eventId"].replace("order-shipped", "incident"), "groupKey": event["eventId"],
        "service": "checkout-api", "severity": "low", "summary": "it is on fire",
        "contacts": [{"phone": event["phone"]}], "consentAt": event["consentAt"],
    }  # fmt: skip
    async with crowded(world) as posts:
        others = [
            asyncio.create_task(world.http.post(path, json=body))
            for path, body in (
                ("/api/incident-alert-sms", alert),
                ("/api/verify/start", {"phone": world.event()["phone"]}),
                ("/api/batches", {"events": [world.event() | {"kind": "order-shipped"}]}),
            )
        ]
        await asyncio.sleep(0.5)
        assert len(shed(posts)) > 0
    assert [(await other).status_code for other in others] == [202, 202, 200]


@pytest.mark.usefixtures("few")
async def test_callbacks_replies_and_what_operators_ask_for_pass_by_the_crowd(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    async with crowded(world):
        answers = [
            await world.http.get(path) for path in ("/healthz", "/metrics", f"/api/notifications/{event['eventId']}")
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.usefixtures("few")
async def test_a_refusal_is_counted_and_said_in_the_log_once_in_a_while(world: World) -> None:
    async def counted() -> float:
        text = (await world.http.get("/metrics")).text
        return float(text.split('heliograph_shed_total{lane="events"} ')[1].split("\n")[0])

    before = await counted()
    with capture_logs() as logs:
        async with crowded(world) as posts:
            pass
    assert await counted() - before == len(shed(posts))
    said = [entry for entry in logs if entry["log_level"] != "debug"]
    assert len([entry for entry in said if entry["event"] == "more comes in than can be taken"]) <= 1
    assert not [entry for entry in said if entry["event"] == "request" and entry["status"] == 503]


@pytest.mark.usefixtures("few")
async def test_who_waits_for_twilio_gives_his_place_to_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "WAITS_NO_LONGER_THAN", 0.1)
    async with locked(world):
        posts = [asyncio.create_task(world.post(world.event(), Prefer="wait=30")) for _ in range(2)]
        await asyncio.sleep(0.5)
        posts.append(asyncio.create_task(world.post(world.event())))
        await asyncio.sleep(0.7)
        assert not posts[-1].done()
    assert [(await post).status_code for post in posts] == [202, 202, 202]


@pytest.mark.usefixtures("few")
async def test_a_wrong_key_gets_no_further_in_a_crowd_than_a_right_one(world: World) -> None:
    async with crowded(world):
        answers = [await world.post(world.event(), Authorization="Bearer nobodys-key-at-all-1234") for _ in range(2)]
    assert {answer.status_code for answer in answers} <= {401, 503}
    assert (await world.post(world.event(), Authorization="Bearer nobodys-key-at-all-1234")).status_code == 401
