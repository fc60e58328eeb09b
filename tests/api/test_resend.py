"""An operator orders a text again: under the same event, with a reason, and not by accident."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from notifications.notification import Outcome
from store.resends import Refusal, Resends
from store.schema import notifications
from tests.world import KEY, World


async def resend(world: World, event: dict[str, Any], reason: str = "asked for it", **order: Any) -> httpx.Response:
    return await world.http.post(f"/api/notifications/{event['eventId']}/resend", json={"reason": reason} | order)


async def undelivered(world: World) -> dict[str, Any]:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30003)
    await world.post(event)
    await world.until(event["eventId"], lambda story: "escalated" in story)
    await asyncio.wait_for(world.workflow(event["eventId"]).result(), 5)
    await world.phones.behave(event["phone"])
    return event


async def test_what_was_not_delivered_is_sent_again_and_says_who_and_why(world: World) -> None:
    event = await undelivered(world)
    first = (await world.story(event["eventId"]))["sid"]
    answer = await resend(world, event, "handset is on again, call +1 555 867 5310")
    assert (answer.status_code, answer.json()) == (200, {"eventId": event["eventId"], "leg": 2, "status": "pending"})
    story = await world.until(event["eventId"], "delivered")
    assert story["sid"] != first
    [order] = [entry for entry in story["timeline"] if entry["what"] == "resend"]
    assert order["detail"] == "leg 2, by shop: handset is on again, call ***5310"
    assert len(await world.phones.texts(event["phone"])) == 2
    handle = world.client.get_workflow_handle(event["eventId"], result_type=Outcome)
    ended = await asyncio.wait_for(handle.result(), 5)
    assert (ended.status, ended.leg, ended.sid) == ("delivered", 2, story["sid"])


async def test_a_repeat_of_the_event_is_still_a_repeat(world: World) -> None:
    event = await undelivered(world)
    await resend(world, event)
    story = await world.until(event["eventId"], "delivered")
    answer = await world.post(event)
    assert (answer.status_code, answer.json()["sid"]) == (200, story["sid"])
    assert len(await world.phones.texts(event["phone"])) == 2


async def test_while_the_outcome_is_unknown_only_force_sends_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "reset", "accept": False}])
    await world.post(event)
    await world.until(event["eventId"], "unknown")
    answer = await resend(world, event)
    assert (answer.status_code, answer.json()["error"]) == (409, "outcome_unknown")
    assert await world.phones.requests(event["phone"]) == 1
    answer = await resend(world, event, force=True)  # its workflow is open, and asks Twilio still
    assert answer.json()["leg"] == 2
    story = await world.until(event["eventId"], "delivered")
    assert "forced" in next(entry["detail"] for entry in story["timeline"] if entry["what"] == "resend")
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_what_was_delivered_is_sent_again_by_force_only(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    answer = await resend(world, event)
    assert (answer.status_code, answer.json()["error"]) == (409, "already_delivered")
    assert (await resend(world, event, force=True)).status_code == 200
    await world.until(event["eventId"], lambda story: [e["what"] for e in story["timeline"]].count("sent") == 2)
    assert len(await world.phones.texts(event["phone"])) == 2


async def test_what_is_on_its_way_is_sent_again_by_force_only(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    first = (await world.until(event["eventId"], "sent"))["sid"]
    answer = await resend(world, event)
    assert (answer.status_code, answer.json()["error"]) == (409, "on_its_way")
    assert (await resend(world, event, force=True)).status_code == 200
    second = (await world.until(event["eventId"], lambda story: story.get("sid") not in (None, first)))["sid"]
    await world.phones.move(first, "undelivered", 30003)  # the first one is no longer what counts
    await asyncio.sleep(0.5)
    assert (await world.story(event["eventId"]))["status"] == "sent"
    await world.phones.move(second, "delivered")
    await world.until(event["eventId"], "delivered")


async def test_a_late_delivery_of_the_first_text_counts_too(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    first = (await world.until(event["eventId"], "sent"))["sid"]
    await resend(world, event, force=True)
    await world.until(event["eventId"], lambda story: story.get("sid") not in (None, first))
    await world.phones.move(first, "delivered")
    await world.until(event["eventId"], "delivered")
    ended = await asyncio.wait_for(world.workflow(event["eventId"]).result(), 5)
    assert (ended["status"], ended["escalated"]) == ("delivered", False)


@pytest.mark.parametrize("force", [False, True])
async def test_what_is_being_sent_is_not_sent_beside_that(world: World, force: bool) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 0.8}])
    await world.post(event)
    await world.until(event["eventId"], "sending")
    answer = await resend(world, event, force=force)
    assert (answer.status_code, answer.json()["error"]) == (409, "still_sending")
    await world.until(event["eventId"], "delivered")
    assert await world.phones.requests(event["phone"]) == 1


async def test_two_operators_at_once_order_one_text(world: World) -> None:
    event = await undelivered(world)
    answers = await asyncio.gather(*(resend(world, event) for _ in range(5)))
    assert {answer.json().get("leg") for answer in answers if answer.status_code == 200} == {2}
    await world.until(event["eventId"], "delivered")
    assert len(await world.phones.texts(event["phone"])) == 2


async def test_an_order_that_temporal_did_not_hear_is_the_same_when_it_is_given_again(world: World) -> None:
    event = await undelivered(world)
    orders = Resends(world.database)
    assert await orders.order(event["eventId"], caller="shop", reason="why", force=False) == 2
    assert await orders.order(event["eventId"], caller="shop", reason="why", force=False) == 2
    assert isinstance(await orders.order("no-such-event", caller="shop", reason="why", force=True), Refusal)
    assert (await resend(world, event)).json()["leg"] == 2
    await world.until(event["eventId"], "delivered")
    assert len(await world.phones.texts(event["phone"])) == 2


@pytest.mark.parametrize("order", [{}, {"reason": ""}, {"reason": "x" * 201}, {"reason": "why", "force": "yes"}])
async def test_an_order_without_a_reason_is_refused(world: World, order: dict[str, Any]) -> None:
    answer = await world.http.post("/api/notifications/some-event/resend", json=order)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_unknown_event_is_404_and_a_stranger_401(world: World) -> None:
    unknown = {"eventId": "no-such-event"}
    assert (await resend(world, unknown)).status_code == 404
    stranger = {"Authorization": f"Bearer {KEY}x"}
    answer = await world.http.post("/api/notifications/no-such-event/resend", json={"reason": "why"}, headers=stranger)
    assert answer.status_code == 401


async def test_what_is_not_kept_any_more_keeps_its_status_when_it_cannot_be_sent_again(world: World) -> None:
    event = world.event()
    await world.post(event)
    before = await world.until(event["eventId"], "delivered")
    async with world.database.write() as connection:
        mine = notifications.c.event_id == event["eventId"]
        await connection.execute(update(notifications).where(mine).values(sealed_request=None))
    order = {"reason": "he asks for it", "force": True}
    answer = await world.http.post(f"/api/notifications/{event['eventId']}/resend", json=order)
    assert (answer.status_code, answer.json()["error"]) == (409, "not_kept")
    after = await world.story(event["eventId"])
    assert (after["status"], after["sid"]) == ("delivered", before["sid"])
