"""One question, one answer: by eventId, by SID, by phone, and as it happens."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from api.stories import FOLLOWERS, Followers
from questions import tell
from tests.workflow.test_incidents import alert
from tests.workflow.test_incidents import post as post_alert
from tests.world import KEY, World


async def followed(world: World, event: dict[str, Any], **headers: str) -> AsyncIterator[tuple[str, str, Any]]:
    """The events of a stream: number, name, data."""
    path = f"/api/notifications/{event['eventId']}/stream"
    async with world.http.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        number = name = ""
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = value
            elif field == "event":
                name = value
            elif field == "data":
                yield number, name, json.loads(value)


async def about(world: World, phone: str) -> list[dict[str, Any]]:
    answer = await world.http.get("/api/notifications", params={"phone": phone})
    assert answer.status_code == 200, answer.text
    return answer.json()["notifications"]


async def test_what_was_sent_to_a_phone_the_latest_first(world: World) -> None:
    first = world.event()
    second = world.event(phone=first["phone"])
    for event in (first, second):
        await world.post(event)
        await world.until(event["eventId"], "delivered")
    found = await about(world, first["phone"])
    assert [one["eventId"] for one in found] == [second["eventId"], first["eventId"]]
    assert found[0]["workflow"].endswith(f"/namespaces/default/workflows/{second['eventId']}")
    assert first["phone"] not in str(found)
    unescaped = await world.http.get(f"/api/notifications?phone={first['phone']}")  # + is a blank there
    assert unescaped.json()["notifications"] == found


async def test_a_contact_of_an_alert_is_found_too(world: World) -> None:
    one, other = world.event()["phone"], world.event()["phone"]
    event = alert(world, one, other)
    await world.phones.behave(one, outcome="undelivered")
    await post_alert(world, event)
    async with asyncio.timeout(20):
        while not await about(world, other):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert [one["eventId"] for one in await about(world, one)] == [event["eventId"]]
    await world.http.post(f"/api/notifications/{event['eventId']}/acknowledge")


async def test_nobody_and_nonsense(world: World) -> None:
    assert await about(world, "+15558889999") == []
    for phone in ("5558889999", "", "+1"):
        answer = await world.http.get("/api/notifications", params={"phone": phone})
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "phone")
    assert (await world.http.get("/api/notifications")).status_code == 400


async def test_operators_orders_stand_in_the_story_with_their_key(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await world.http.post(f"/api/notifications/{event['eventId']}/cancel")
    order = {"reason": "he asks for it", "force": True}
    await world.http.post(f"/api/notifications/{event['eventId']}/resend", json=order)
    story = await world.story(event["eventId"])
    ordered = [entry["detail"] for entry in story["timeline"] if entry["what"] == "ordered"]
    assert ordered == ["cancel by shop (key API_KEYS-1): too_late", "resend by shop (key API_KEYS-1): done"]
    times = [entry["at"] for entry in story["timeline"]]
    assert times == sorted(times)


async def test_a_story_is_followed_as_it_happens(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], finalAfter=1.5)
    await world.post(event)
    seen = [(name, data) async for _, name, data in followed(world, event)]
    whats = [data["what"] for name, data in seen if name == "entry"]
    assert whats[:3] == ["requested", "claimed", "sent"]
    assert whats.count("callback") == 2
    statuses = [data["status"] for name, data in seen if name == "status"]
    assert statuses[-1] == "delivered"
    assert len(statuses) > 1
    story = await world.story(event["eventId"])
    assert [data for name, data in seen if name == "entry"] == story["timeline"]


async def test_who_comes_back_is_told_what_he_missed(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    whole = [(number, data) async for number, name, data in followed(world, event) if name == "entry"]
    assert [number for number, _ in whole] == [str(number) for number in range(1, len(whole) + 1)]
    rest = [data async for _, name, data in followed(world, event, **{"Last-Event-ID": "2"}) if name == "entry"]
    assert rest == [data for _, data in whole[2:]]


async def test_too_many_followers_are_sent_away(world: World) -> None:
    from api.problems import Problem

    followers = Followers()
    followers.of_caller["shop"] = FOLLOWERS
    with pytest.raises(Problem) as refused:
        followers.follow(None, None, 0, "shop")  # type: ignore[arg-type]
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "10"})


async def test_a_follower_who_leaves_makes_room(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    for _ in range(3):
        async for _ in followed(world, event):
            break
    async with asyncio.timeout(5), httpx.AsyncClient() as http:
        answer = await http.get(f"{world.http.base_url}/healthz")
    assert answer.status_code == 200


@pytest.mark.parametrize("by", ["eventId", "sid", "phone"])
async def test_the_command_answers_all_three(world: World, by: str) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    identifier = {"eventId": event["eventId"], "sid": story["sid"], "phone": event["phone"]}[by]
    console = Console(file=io.StringIO(), width=200)
    assert await tell(world.settings, console, identifier, KEY, follow=False) == 0
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert story["sid"] in said
    assert "delivered" in said
    assert event["phone"] not in said


async def test_the_command_follows(world: World) -> None:
    event = world.event()
    await world.post(event)
    console = Console(file=io.StringIO(), width=200)
    assert await tell(world.settings, console, event["eventId"], KEY, follow=True) == 0
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Twilio has it" in said
    assert said.rstrip().endswith("delivered")


async def test_the_command_says_when_there_is_nothing(world: World) -> None:
    console = Console(file=io.StringIO(), width=200)
    for identifier in ("no-such-event", "+15558889998", f"CA{'7' * 32}"):
        assert await tell(world.settings, console, identifier, KEY, follow=False) == 1
