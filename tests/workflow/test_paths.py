"""Every way that a notification can go, with all parts real.

Until a test asks for the outcome, time is real; from then on the workflow's clock leaps over every wait.
"""

import asyncio
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client

from notifications.notification import CarrierReport
from notifications.status import DeliveryStatus
from tests.world import World
from workflows import names, search_attributes


def whats(story: dict[str, Any]) -> list[str]:
    return [entry["what"] for entry in story["timeline"]]


async def test_delivered(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated, ended.sid) == ("delivered", False, story["sid"])
    assert whats(story) == ["requested", "claimed", "sent", "callback", "callback"]
    assert await world.phones.notices(event["eventId"]) == []


async def test_undelivered_is_escalated(world: World) -> None:
    event = world.event(operatorNote="third parcel this week")
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30005)
    await world.post(event)
    story = await world.until(event["eventId"], lambda story: "escalated" in story)
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated, ended.error_code) == ("undelivered", True, 30005)
    assert story["error"]["acts"] == "caller"
    [notice] = await world.phones.notices(event["eventId"])
    assert notice["data"]["reason"] == "not_delivered"
    assert notice["data"]["operatorNote"] == "third parcel this week"


async def test_refused_is_final_and_never_tried_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="refused", errorCode=21614)
    await world.post(event)
    await world.until(event["eventId"], "failed")
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated, ended.error_code, ended.sid) == ("failed", True, 21614, None)
    assert await world.phones.requests(event["phone"]) == 1
    assert await world.attempts(event) == 1


@pytest.mark.parametrize("retry_after", [None, 1])
async def test_too_many_requests_are_tried_again(world: World, retry_after: float | None) -> None:
    event = world.event()
    fault = {"fault": "429", "retryAfter": retry_after}
    await world.phones.behave(event["phone"], create=[fault, fault])
    await world.post(event)
    story = await world.until(event["eventId"], "delivered", seconds=20)
    assert story["attempts"] == 3
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_server_error_that_took_the_text_is_found_and_not_sent_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "500", "accept": True}], callbacks={"lose": "all"})
    await world.post(event)
    await world.until(event["eventId"], lambda story: "server_error" in whats(story))
    ended = await world.outcome(event)
    [text] = await world.phones.texts(event["phone"])
    assert (ended.status, ended.sid) == ("delivered", text["sid"])
    assert "found" in whats(await world.story(event["eventId"]))


async def test_a_server_error_that_did_not_take_the_text_is_tried_again(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "500", "status": 503}])
    await world.post(event)
    await world.until(event["eventId"], lambda story: "server_error" in whats(story))
    assert (await world.outcome(event)).status == "delivered"
    assert (await world.story(event["eventId"]))["attempts"] == 2
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_callback_ends_a_pending_retry(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "500", "accept": True}])
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    ended = await asyncio.wait_for(world.workflow(event["eventId"]).result(), 3)
    assert ended["status"] == "delivered"
    assert await world.phones.requests(event["phone"]) == 1
    assert "found" not in whats(story)


@pytest.mark.parametrize("fault", ["hang", "reset"])
async def test_a_lost_answer_is_settled_by_the_callback(world: World, fault: str) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": fault, "accept": True, "seconds": 2}])
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    assert (await world.outcome(event)).status == "delivered"
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_lost_answer_without_callbacks_is_settled_by_looking(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "reset", "accept": True}], callbacks={"lose": "all"})
    await world.post(event)
    await world.until(event["eventId"], "unknown")
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated) == ("delivered", False)
    assert await world.phones.requests(event["phone"]) == 1
    assert await world.attempts(event) == 1


@pytest.mark.parametrize("fault", ["hang", "reset"])
async def test_a_lost_answer_that_nobody_can_settle_is_unknown_and_told_and_never_sent_again(
    world: World, fault: str
) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": fault, "accept": False, "seconds": 2}])
    await world.post(event)
    await world.until(event["eventId"], "unknown")
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated, ended.sid) == ("unknown", True, None)
    [notice] = await world.phones.notices(event["eventId"])
    assert notice["data"]["reason"] == "unknown"
    assert await world.phones.requests(event["phone"]) == 1


async def test_silence_is_asked_after_before_it_is_called_late(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], callbacks={"lose": "all"})
    await world.post(event)
    await world.until(event["eventId"], "sent")
    await asyncio.sleep(0.6)  # the handset has it by now, and nobody has told us
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated) == ("delivered", False)
    assert "asked" in whats(await world.story(event["eventId"]))


async def test_silence_to_the_deadline_is_escalated(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], "sent")
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated) == ("sent", True)
    [notice] = await world.phones.notices(event["eventId"])
    assert notice["data"]["reason"] == "no_final_status"


async def test_a_late_delivery_closes_the_case(world: World) -> None:
    event = world.event(deliveryTimeoutSeconds=5)
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], lambda story: "escalated" in story, seconds=20)
    await world.phones.move(story["sid"], "delivered")
    story = await world.until(event["eventId"], lambda story: story.get("escalated") == "delivered_late")
    assert story["status"] == "delivered"
    assert [notice["type"] for notice in await world.phones.notices(event["eventId"])] == [
        "notification.escalated",
        "notification.recovered",
    ]
    assert (await world.outcome(event)).status == "delivered"


async def test_a_callback_that_overtakes_the_answer_counts(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], callbacks={"early": True}, sentAfter=0, finalAfter=0)
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    assert (await world.outcome(event)).status == "delivered"
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_repeated_reordered_and_contradicting_callbacks_do_not_undo_delivered(world: World) -> None:
    event = world.event()
    await world.phones.behave(
        event["phone"],
        callbacks={"repeat": 3, "reorder": True, "contradict": "undelivered", "contradictAfter": 0.3},
    )
    await world.post(event)
    callbacks = 3 * 3

    def all_in(story: dict[str, Any]) -> bool:
        return whats(story).count("callback") == callbacks

    story = await world.until(event["eventId"], all_in)
    assert story["status"] == "delivered"
    details = {entry.get("detail") for entry in story["timeline"] if entry["what"] == "callback"}
    assert {"repeated", "late", "contradicts the final status"} <= details
    assert (await world.outcome(event)).status == "delivered"


async def test_another_messages_final_status_is_not_taken_for_this_one(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], "sent")
    foreign = CarrierReport(
        sid="SM" + "f" * 32, carrier_status="undelivered", status=DeliveryStatus.UNDELIVERED, error_code=30003
    )
    await world.workflow(event["eventId"]).signal(names.FINAL_STATUS, foreign)
    ended = await world.outcome(event)
    assert ended.status == "sent"


async def test_what_twilio_never_takes_is_told_at_the_deadline_and_expires(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], createForever={"fault": "429", "retryAfter": 3600})
    await world.post(event)
    await world.until(event["eventId"], lambda story: "not_accepted" in whats(story))
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated) == ("expired", True)
    [notice] = await world.phones.notices(event["eventId"])
    assert notice["data"]["reason"] == "not_accepted"
    assert await world.phones.texts(event["phone"]) == []


async def test_operators_are_told_until_they_hear(world: World) -> None:
    event = world.event()
    await world.phones._http.put("/simulator/operators", json={"failNext": 2, "status": 503})
    await world.phones.behave(event["phone"], outcome="undelivered")
    await world.post(event)
    await world.until(event["eventId"], "undelivered")
    assert (await world.outcome(event)).escalated
    assert len(await world.phones.notices(event["eventId"])) == 1


async def test_the_workflow_list_tells_the_story_without_a_number_in_it(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30006)
    await world.post(event)
    story = await world.until(event["eventId"], lambda story: "escalated" in story)
    await world.outcome(event)
    attributes = (await world.workflow(event["eventId"]).describe()).typed_search_attributes
    found = {pair.key.name: pair.value for pair in attributes.search_attributes}
    assert {
        search_attributes.KIND.name: "order-shipped",
        search_attributes.STATUS.name: "undelivered",
        search_attributes.MESSAGE_SID.name: story["sid"],
        search_attributes.COUNTRY.name: "US",
        search_attributes.CALLER.name: "shop",
        search_attributes.ERROR_CODE.name: 30006,
        search_attributes.ESCALATED.name: True,
    }.items() <= found.items()
    assert len(found[search_attributes.RECIPIENT_HASH.name]) == 32
    assert event["phone"][1:] not in str(found)


async def test_one_workflow_reads_in_words_without_a_key(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30006)
    await world.post(event)
    await world.until(event["eventId"], lambda story: "escalated" in story)
    await world.outcome(event)
    keyless = await Client.connect(world.settings.temporal_address)
    handle = keyless.get_workflow_handle(event["eventId"])
    masked = f"***{event['phone'][-4:]}"
    assert await (await handle.describe()).static_summary() == f"order-shipped to {masked} (US)"
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert metadata.current_details.startswith("**undelivered**")
    assert masked in metadata.current_details
    summaries = {one.user_metadata.summary.data for one in (await handle.fetch_history()).events}
    assert {f'"text {masked}"'.encode(), b'"delivery deadline"', b'"operators: not_delivered"'} <= summaries
