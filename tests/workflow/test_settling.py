"""A send whose answer was lost: settled by callback, by look-up, or by the kind's policy; never by guessing."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from notifications.notification import NotificationRequest, Outcome
from notifications.policy import Purpose, WhenUnknown
from notifications.status import DeliveryStatus
from store.ledger import Ledger
from tests.drafts import request
from tests.world import World
from workflows import search_attributes
from workflows.dispatch import Dispatch


def whats(story: dict[str, Any]) -> list[str]:
    return [entry["what"] for entry in story["timeline"]]


def urgent(event: dict[str, Any], **policy: Any) -> NotificationRequest:
    """A request of a kind that would rather text twice than not at all."""
    rules = {"purpose": Purpose.INCIDENTS, "when_unknown": WhenUnknown.RESEND} | policy
    return request(event["phone"], event_id=event["eventId"], body=f"Alert {event['orderId']}", policy=rules)


async def started(world: World, request: NotificationRequest) -> None:
    await Dispatch(world.client).start(request)
    await world.until(request.event_id, "unknown")


async def ended(world: World, request: NotificationRequest) -> Outcome:
    return await world.outcome({"eventId": request.event_id})


async def test_an_urgent_text_that_twilio_does_not_know_is_sent_once_more(world: World) -> None:
    alert = urgent(event := world.event())
    reset = {"fault": "reset", "accept": False}
    await world.phones.behave(event["phone"], create=[reset], callbacks={"early": True}, sentAfter=0, finalAfter=0)
    await started(world, alert)
    outcome = await ended(world, alert)
    assert (outcome.status, outcome.leg, outcome.escalated) == (DeliveryStatus.DELIVERED, 2, False)
    assert await world.phones.requests(event["phone"]) == 2
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_an_urgent_text_that_twilio_has_is_not_sent_again(world: World) -> None:
    alert = urgent(event := world.event())
    await world.phones.behave(event["phone"], create=[{"fault": "reset", "accept": True}], callbacks={"lose": "all"})
    await started(world, alert)
    outcome = await ended(world, alert)
    assert (outcome.status, outcome.leg) == (DeliveryStatus.DELIVERED, 1)
    assert await world.phones.requests(event["phone"]) == 1


async def test_an_urgent_text_is_sent_once_more_and_then_told(world: World) -> None:
    alert = urgent(event := world.event())
    await world.phones.behave(event["phone"], createForever={"fault": "reset", "accept": False})
    await started(world, alert)
    outcome = await ended(world, alert)
    assert (outcome.status, outcome.leg, outcome.escalated) == (DeliveryStatus.UNKNOWN, 2, True)
    assert await world.phones.requests(event["phone"]) == 2


async def test_a_list_that_lags_is_asked_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(
        event["phone"], create=[{"fault": "reset", "accept": True}], callbacks={"lose": "all"}, listLag=1.5
    )
    await world.post(event)
    await world.until(event["eventId"], "unknown")
    await asyncio.sleep(2)  # the workflow's clock leaps, the simulator's does not
    assert (await world.outcome(event)).status == "delivered"
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_server_error_is_looked_up_three_times_before_it_is_posted_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "500", "accept": False}])
    await world.post(event)
    await world.until(event["eventId"], lambda story: "server_error" in whats(story))
    await world.outcome(event)
    assert await world.attempts(event) == 4  # the POST, two look-ups in vain, the third one with the POST that follows
    assert await world.phones.requests(event["phone"]) == 2


async def test_a_message_that_may_be_another_events_is_nobodys_until_a_callback_tells(world: World) -> None:
    """Two events, word for word the same text to the same person, both in doubt, one text at Twilio."""
    first = world.event()
    second = first | {"eventId": f"{first['eventId']}-again"}
    await world.phones.behave(
        first["phone"],
        create=[{"fault": "reset", "accept": True}, {"fault": "reset", "accept": False}],
        callbacks={"lose": "all"},
    )
    for event in (first, second):
        await world.post(event)
        await world.until(event["eventId"], "unknown")
    for event in (first, second):
        ended = await world.outcome(event)
        assert (ended.status, ended.escalated, ended.sid) == ("unknown", True, None)
    assert await world.phones.requests(first["phone"]) == 2


async def test_a_send_whose_end_the_database_missed_is_unknown_there_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("the database went away"))

    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "reset", "accept": False}])
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "not_sent", away)
        await world.post(event)
        async with asyncio.timeout(15):
            while await world.attribute(event["eventId"], search_attributes.STATUS) != "unknown":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert (await world.story(event["eventId"]))["status"] == "sending"
    assert (await world.outcome(event)).status == "unknown"
    assert (await world.story(event["eventId"]))["status"] == "unknown"
    answer = await world.http.post(
        f"/api/notifications/{event['eventId']}/resend", json={"reason": "it was not sent", "force": True}
    )
    assert answer.status_code == 200
