"""The sweep mends what callbacks, workflows and databases have lost, and tells operators what it cannot mend."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.client import WorkflowExecutionStatus

import activities.reconcile
from notifications.notification import CarrierReport, Swept
from notifications.status import DeliveryStatus
from store.resends import Resends
from store.schema import legs, notifications
from store.timeline import Entry, Timeline
from tests.world import World
from workflows import names
from workflows.reconciliation import Reconciliation


def whats(story: dict[str, Any]) -> list[str]:
    return [entry["what"] for entry in story["timeline"]]


async def sweep(world: World, event: dict[str, Any]) -> Swept:
    """A sweep, with an hour gone by since the event's last news."""
    past = datetime.now(UTC) - timedelta(hours=1)
    async with world.database.write() as connection:
        await connection.execute(
            update(notifications)
            .where(notifications.c.event_id == event["eventId"])
            .values(updated_at=past, swept_at=None)
        )
    return await world.client.execute_workflow(
        Reconciliation.run, id=f"sweep-{uuid.uuid4()}", task_queue=names.TASK_QUEUE
    )


async def never_taken(world: World) -> dict[str, Any]:
    """An event that Twilio turns away for now."""
    event = world.event()
    await world.phones.behave(event["phone"], createForever={"fault": "429", "retryAfter": 3600})
    await world.post(event)
    await world.until(event["eventId"], lambda story: "not_accepted" in whats(story))
    return event


async def test_a_lost_callback_is_made_up_for_long_before_the_deadline(world: World) -> None:
    event = world.event(deliveryTimeoutSeconds=86_400)
    await world.phones.behave(event["phone"], callbacks={"lose": "all"})
    await world.post(event)
    await world.until(event["eventId"], "sent")
    await asyncio.sleep(0.6)  # the handset has it by now
    await sweep(world, event)
    assert (await world.story(event["eventId"]))["status"] == "delivered"
    ended = await asyncio.wait_for(world.workflow(event["eventId"]).result(), 5)
    assert (ended["status"], ended["escalated"]) == ("delivered", False)


async def test_what_has_a_final_status_is_left_alone(world: World) -> None:
    event = world.event()
    await world.post(event)
    before = await world.until(event["eventId"], "delivered")
    await sweep(world, event)
    assert (await world.story(event["eventId"]))["timeline"] == before["timeline"]


async def test_what_is_on_its_way_is_left_alone(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    before = await world.until(event["eventId"], lambda story: "callback" in whats(story))
    await sweep(world, event)
    assert whats(await world.story(event["eventId"])) == whats(before)
    assert await world.phones.notices(event["eventId"]) == []


async def test_a_leg_that_was_ordered_while_temporal_was_away_is_sent_though_the_workflow_is_open(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    first = (await world.until(event["eventId"], "sent"))["sid"]
    # As much of an order as is done when Temporal does not answer.
    order = Resends(world.database).order(event["eventId"], caller="shop", reason="no end of it", force=True)
    assert await order == 2
    for _ in range(2):  # the second one finds it under way
        await sweep(world, event)
        story = await world.until(event["eventId"], lambda story: story.get("sid") not in (None, first))
    await world.phones.move(story["sid"], "delivered")
    await world.until(event["eventId"], "delivered")
    assert len(await world.phones.texts(event["phone"])) == 2


async def test_an_order_that_is_found_days_later_is_too_late(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], "sent")
    await Resends(world.database).order(event["eventId"], caller="shop", reason="no end of it", force=True)
    days_ago = datetime.now(UTC) - timedelta(days=5)
    async with world.database.write() as connection:
        ordered = legs.c.event_id == event["eventId"], legs.c.number == 2
        await connection.execute(update(legs).where(*ordered).values(claimed_at=days_ago))
    await sweep(world, event)
    await world.until(event["eventId"], "expired")
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_workflow_that_was_deleted_before_its_send_is_started_again(world: World) -> None:
    event = await never_taken(world)
    await world.delete(event)
    await world.phones.behave(event["phone"])
    await sweep(world, event)
    story = await world.until(event["eventId"], "delivered")
    assert "restarted" in whats(story)
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_workflow_that_was_deleted_after_its_send_is_followed_up_and_nothing_is_sent_again(
    world: World,
) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.delete(event)
    await sweep(world, event)
    await world.until(event["eventId"], lambda story: "restarted" in whats(story))
    await world.phones.move(story["sid"], "delivered")
    await world.until(event["eventId"], "delivered")
    ended = await world.outcome(event)
    assert (ended.status, ended.sid) == ("delivered", story["sid"])
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_workflow_that_was_ended_by_hand_before_its_send_stays_ended_and_is_told_once(world: World) -> None:
    event = await never_taken(world)
    await world.workflow(event["eventId"]).terminate()
    await world.phones.behave(event["phone"])
    await sweep(world, event)
    story = await world.until(event["eventId"], lambda story: story.get("escalated") == "abandoned")
    assert story["status"] == "canceled"
    await sweep(world, event)
    assert len(await world.phones.notices(event["eventId"])) == 1
    assert await world.phones.texts(event["phone"]) == []


async def test_a_workflow_that_was_ended_by_hand_after_its_send_is_followed_to_the_end(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent", callbacks={"lose": "all"})
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.workflow(event["eventId"]).terminate()
    await world.phones.move(story["sid"], "undelivered", 30003)
    await sweep(world, event)
    await world.until(event["eventId"], lambda story: "restarted" in whats(story))
    ended = await world.outcome(event)
    assert (ended.status, ended.error_code, ended.escalated) == ("undelivered", 30003, True)
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_failure_that_nobody_was_told_of_since_the_workflow_is_gone_is_told_once(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.workflow(event["eventId"]).terminate()
    await world.phones.move(story["sid"], "undelivered", 30003)
    await world.until(event["eventId"], "undelivered")
    for _ in range(2):
        await sweep(world, event)
    await world.until(event["eventId"], lambda story: story.get("escalated") == "not_delivered")
    [notice] = await world.phones.notices(event["eventId"])
    assert notice["data"]["error"]["code"] == 30003


async def test_a_failure_whose_signal_was_lost_reaches_the_open_workflow(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], lambda story: "callback" in whats(story))
    report = CarrierReport(
        sid=story["sid"], carrier_status="undelivered", status=DeliveryStatus.UNDELIVERED, error_code=30003
    )
    await Timeline(world.database).callback(event["eventId"], report, Entry("callback", sid=story["sid"]))
    await sweep(world, event)
    await world.until(event["eventId"], lambda story: story.get("escalated") == "not_delivered")
    ended = await world.outcome(event)
    assert (ended.status, ended.error_code, ended.escalated) == ("undelivered", 30003, True)
    assert len(await world.phones.notices(event["eventId"])) == 1


async def test_a_workflow_that_does_not_move_is_told_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.reconcile, "OVERDUE", -timedelta(hours=1))
    event = await never_taken(world)
    for _ in range(2):
        await sweep(world, event)
    await world.until(event["eventId"], lambda story: story.get("escalated") == "stuck")
    assert len(await world.phones.notices(event["eventId"])) == 1
    run = await world.run(event["eventId"])
    assert run is not None
    assert run.status is WorkflowExecutionStatus.RUNNING


async def test_what_the_workflow_knows_and_the_database_missed_is_written_down(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    async with world.database.write() as connection:
        await connection.execute(
            update(notifications).where(notifications.c.event_id == event["eventId"]).values(status="sending", sid=None)
        )
    await sweep(world, event)
    mended = await world.story(event["eventId"])
    assert (mended["status"], mended["sid"], whats(mended)[-1]) == ("delivered", story["sid"], "reconciled")


async def test_a_delivery_that_comes_after_the_last_listener_has_gone_closes_the_case(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent", callbacks={"lose": "all"})
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    assert (await world.outcome(event)).status == "sent"  # a day after the deadline
    await world.phones.move(story["sid"], "delivered")
    await sweep(world, event)
    await world.until(event["eventId"], lambda story: story.get("escalated") == "delivered_late")
    assert (await world.story(event["eventId"]))["status"] == "delivered"


async def test_a_twilio_that_does_not_answer_stops_no_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from carrier.errors import ServerError
    from carrier.messages import Messages

    event = world.event()
    await world.phones.behave(event["phone"], callbacks={"lose": "all"})
    await world.post(event)
    await world.until(event["eventId"], "sent")

    async def broken(*_: object) -> None:
        raise ServerError("Twilio answered 503.")

    with monkeypatch.context() as patched:
        patched.setattr(Messages, "fetch", broken)
        assert (await sweep(world, event)).unanswered >= 1
    await sweep(world, event)
    assert (await world.story(event["eventId"]))["status"] == "delivered"
