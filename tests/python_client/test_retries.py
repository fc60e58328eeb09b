"""What the Python client does when the line breaks: it tries again what may be, and nobody is texted twice."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api import stories
from heliograph_client import (
    OutcomeUnknown,
    Refused,
    Retries,
    Summary,
    TimelineEntry,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    VerificationEnded,
)
from heliograph_client.retries import Repeat, Tries
from tests.python_client.flavours import FLAVOURS, KEY, Client, Line, line_to, shipped
from tests.world import World, free_port

EVERY_FAULT = ["drop", "gateway", "503 unavailable", "503 overloaded"]


@pytest.mark.parametrize("fault", [*EVERY_FAULT, "lose", "stall", "429 too_many_requests"])
async def test_an_event_gets_through_a_line_that_fails_once(
    world: World, line: Line, caller: Client, fault: str
) -> None:
    event = shipped(world)
    line.plan = [fault]
    taken = await caller.send(event)
    await world.until(event.event_id, "delivered")
    assert len(line.tries) == 2
    assert line.bodies[0] == line.bodies[1]
    assert taken.duplicate is (True if fault == "lose" else None)
    assert await world.phones.requests(event.phone) == 1


async def test_an_event_whose_answers_are_all_lost_is_sent_once(world: World, line: Line, caller: Client) -> None:
    event = shipped(world)
    line.plan = ["lose"] * 4
    with pytest.raises(Unreachable) as failure:
        await caller.send(event)
    assert "may have been taken" in str(failure.value)
    assert len(line.tries) == 4  # Retries(attempts=4)
    await world.until(event.event_id, "delivered")
    assert (await caller.send(event)).duplicate
    assert await world.phones.requests(event.phone) == 1


async def test_a_refusal_is_told_though_its_first_answer_was_lost(world: World, line: Line, caller: Client) -> None:
    event = shipped(world)
    await world.phones.behave(event.phone, outcome="refused", errorCode=21211)
    line.plan = ["lose"]
    with pytest.raises(Refused) as refused:
        await caller.send(event, wait=10)
    assert refused.value.error_code == 21211


async def test_a_batch_whose_answer_is_lost_texts_nobody_twice(world: World, line: Line, caller: Client) -> None:
    events = [shipped(world) for _ in range(5)]
    line.plan = ["lose", "drop"]
    answer = await caller.batch(events)
    assert answer.duplicates == 5
    for event in events:
        await world.until(event.event_id, "delivered")
        assert await world.phones.requests(event.phone) == 1


async def test_an_api_that_is_not_there_yet_is_waited_for(world: World) -> None:
    for flavour in FLAVOURS:
        port, event = free_port(), shipped(world)
        client = Client(flavour, f"http://127.0.0.1:{port}", retries=Retries(attempts=10, first=0.2, longest=0.2))
        sending = asyncio.create_task(client.send(event))
        starting = asyncio.create_task(client.verify_start(f"+1555887{FLAVOURS.index(flavour)}001"))
        await asyncio.sleep(0.3)
        async with line_to(world, port):
            assert (await sending).accepted
            assert (await starting).status == "pending"
            await client.close()


@pytest.mark.parametrize("fault", EVERY_FAULT)
async def test_questions_and_what_may_be_done_twice_are_tried_again(
    world: World, line: Line, caller: Client, fault: str
) -> None:
    event = shipped(world)
    await caller.send(event)
    await world.until(event.event_id, "delivered")
    calls = {
        "notification": lambda: caller.notification(event.event_id),
        "notifications": lambda: caller.notifications(event.phone),
        "consent": lambda: caller.consent(event.phone),
        "set_consent": lambda: caller.set_consent(event.phone, "granted", purpose="support", source="front desk"),
        "preview": lambda: caller.preview(event),
        "forget": lambda: caller.forget(event.phone),
    }
    for name, call in calls.items():
        line.plan = [fault]
        before = len(line.tries)
        assert await call()
        assert len(line.tries) == before + 2, name


async def test_consent_whose_answer_is_lost_is_one_record(world: World, line: Line, caller: Client) -> None:
    phone = shipped(world).phone
    line.plan = ["lose", "lose"]
    standing = await caller.set_consent(phone, "granted", purpose="support", source="front desk")
    assert len(standing.records) == 1


async def test_a_cancellation_whose_answer_is_lost_succeeds(world: World, line: Line, caller: Client) -> None:
    event = shipped(world)
    held = {
        "event_id": f"{event.event_id}:A", "phone": event.phone, "appointment_id": "A-1",
        "consent_at": event.consent_at, "starts_at": datetime.now(UTC) + timedelta(days=3),
    }  # fmt: skip
    assert (await caller.send("appointment-reminder", **held)).status == "held"
    line.plan = ["lose"]
    assert (await caller.cancel(held["event_id"])).status == "canceled"


@pytest.mark.parametrize("fault", ["drop", "gateway", "503 unavailable", "503 outcome_unknown", "lose"])
async def test_a_resend_is_not_tried_again_once_it_may_have_been_ordered(
    world: World, line: Line, caller: Client, fault: str
) -> None:
    event = shipped(world)
    await caller.send(event)
    await world.until(event.event_id, "delivered")
    line.plan, before = [fault], len(line.tries)
    with pytest.raises(Unavailable):
        await caller.resend(event.event_id, reason="asked for it", force=True)
    assert len(line.tries) == before + 1
    line.plan = ["429 too_many_requests"]
    expected = 3 if fault == "lose" else 2
    await world.until(event.event_id, "delivered")
    assert (await caller.resend(event.event_id, reason="asked for it", force=True)).leg == expected


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ("503 unavailable", 2),
        ("503 overloaded", 2),
        ("429 too_many_requests", 2),
        ("drop", 1),
        ("gateway", 1),
        ("503 outcome_unknown", 1),
    ],
)
async def test_a_login_check_is_tried_again_only_where_nothing_was_done(
    line: Line, caller: Client, fault: str, attempts: int
) -> None:
    ended = VerificationEnded if attempts == 2 else OutcomeUnknown if "unknown" in fault else Unavailable
    line.plan = [fault]
    with pytest.raises(ended):
        await caller.verify_check("+15558860001", "123456")
    assert len(line.tries) == attempts


@pytest.mark.parametrize("fault", ["drop", "gateway", "503 outcome_unknown", "lose"])
async def test_a_code_that_may_be_on_its_way_is_not_sent_again(line: Line, caller: Client, fault: str) -> None:
    line.plan = [fault]
    with pytest.raises(Unavailable):
        await caller.verify_start("+15558860003")
    assert len(line.tries) == 1


async def test_the_apis_wish_to_be_asked_later_is_honoured(world: World, line: Line, caller: Client) -> None:
    line.plan, line.headers = ["503 unavailable"], {"Retry-After": "1"}
    await caller.send(shipped(world))
    assert 1 <= line.tries[1] - line.tries[0] < 2
    date = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    line.plan, line.headers = ["gateway"], {"Retry-After": date}
    await caller.send(shipped(world))
    assert 0.9 <= line.tries[3] - line.tries[2] < 3


async def test_who_would_have_to_wait_too_long_is_told_at_once(world: World, line: Line, caller: Client) -> None:
    line.plan, line.headers = ["429 too_many_sends"], {"Retry-After": "600"}
    with pytest.raises(TooManyRequests) as failure:
        await caller.verify_start("+15558860002")
    assert (failure.value.retry_after, len(line.tries)) == (600, 1)


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_trying_ends_in_time(line: Line, flavour: str) -> None:
    line.plan = ["gateway"] * 100
    client = Client(flavour, line.url, retries=Retries(attempts=100, within=0.5, first=0.1, longest=0.2))
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await client.notification("no-such-event")
    assert time.monotonic() - began < 1.5
    assert 3 <= len(line.tries) <= 10
    never = Client(flavour, line.url, retries=Retries(attempts=1))
    before = len(line.tries)
    with pytest.raises(Unavailable):
        await never.notification("no-such-event")
    assert len(line.tries) == before + 1


@pytest.mark.parametrize("fault", ["strange", "missing"])
async def test_what_is_not_heliograph_is_told_apart(world: World, line: Line, caller: Client, fault: str) -> None:
    calls = caller.notification, caller.follow, caller.message
    for call in calls:
        line.plan = [fault]
        with pytest.raises(UnexpectedAnswer):
            await call("no-such-event")


async def test_a_story_goes_on_where_its_connection_broke(world: World, line: Line, caller: Client) -> None:
    event = shipped(world)
    await world.phones.behave(event.phone, create=[{"fault": "slow", "seconds": 0.8}])
    await caller.send(event)
    line.plan, before = ["drop", "cut", "503 unavailable", "cut"], len(line.tries)
    news = await caller.follow(event.event_id)
    assert len(line.tries) > before + 3
    entries = [one for one in news if isinstance(one, TimelineEntry)]
    assert [one.what for one in entries] == [one.what for one in (await caller.notification(event.event_id)).timeline]
    statuses = [one.status for one in news if not isinstance(one, TimelineEntry)]
    assert len(set(statuses)) == len(statuses)
    assert statuses[-1] == "delivered"


async def test_a_long_story_is_followed_over_many_connections(
    world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API ends a stream after an hour; here after half a second."""
    monkeypatch.setattr(stories, "FOLLOW_AT_MOST", 0.6)
    monkeypatch.setattr(stories, "KEEP_ALIVE_EVERY", 0.1)
    client = Client("asynchronous", line.url, retries=Retries(attempts=2, within=0.4, first=0.05))
    event = shipped(world)
    held = {"phone": event.phone, "appointment_id": "A-1", "consent_at": event.consent_at}
    await client.send(
        "appointment-reminder", event_id=event.event_id, starts_at=datetime.now(UTC) + timedelta(days=3), **held
    )
    following = asyncio.create_task(client.follow(event.event_id))
    await asyncio.sleep(3)
    assert not following.done()
    assert len(line.tries) > 3
    await client.cancel(event.event_id)
    monkeypatch.undo()
    assert [one.status for one in await following if isinstance(one, Summary)][-1] == "canceled"


async def test_following_gives_up_when_nothing_comes_any_more(line: Line, caller: Client) -> None:
    line.plan = ["drop"] * 10
    with pytest.raises(Unreachable):
        await caller.follow("no-such-event")
    assert len(line.tries) == 4


async def test_a_client_of_ones_own_is_used_and_left_open(world: World, line: Line) -> None:
    async with httpx.AsyncClient(headers={"X-Mine": "1"}) as mine:
        client = Client("asynchronous", line.url, http=mine)
        await client.send(shipped(world))
        await client.close()
        assert not mine.is_closed


def test_pauses_grow_and_are_left_to_chance() -> None:
    failure = Unavailable(503, "unavailable", "Not now.")

    def pauses() -> list[Any]:
        tries = Tries(Retries(attempts=6, first=1, longest=4, within=1_000))
        return [tries.pause(failure, Repeat.ALWAYS) for _ in range(6)]

    for _ in range(50):
        *waited, last = pauses()
        assert last is None
        for pause, most in zip(waited, (1, 2, 4, 4, 4), strict=True):
            assert most / 2 <= pause <= most
    assert len({tuple(pauses()) for _ in range(5)}) == 5
    for wrong in ({"attempts": 0}, {"within": -1}):
        with pytest.raises(ValueError, match="attempts"):
            Retries(**wrong)  # type: ignore[arg-type]


async def test_a_call_that_is_dropped_stops_trying(line: Line) -> None:
    line.plan = ["gateway"] * 100
    client = Client("asynchronous", line.url, KEY, retries=Retries(attempts=100, first=0.2))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.notification("no-such-event"), 0.5)
    made = len(line.tries)
    await asyncio.sleep(0.5)
    assert len(line.tries) == made
