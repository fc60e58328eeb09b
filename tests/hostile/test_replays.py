"""What somebody has captured or made up is sent again, to us or about others: nothing comes of it."""

import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from store.timeline import MOST_REPEATS
from tests.hostile.wire import CALLBACK, signed
from tests.workflow.test_incidents import alert
from tests.workflow.test_incidents import post as post_alert
from tests.world import World
from workflows import names

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def post(world: World, path: str, signature: str, form: dict[str, str]) -> httpx.Response:
    return await world.http.post(path, content=urlencode(form), headers=FORM | {"X-Twilio-Signature": signature})


async def entries(world: World, event: dict[str, Any], **where: Any) -> list[dict[str, Any]]:
    timeline = (await world.story(event["eventId"]))["timeline"]
    return [entry for entry in timeline if all(entry.get(name) == value for name, value in where.items())]


async def test_a_captured_callback_sent_a_thousand_times_counts_once_and_leaves_little(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    path = f"{CALLBACK}?eventId={event['eventId']}"
    signature, form = signed(world, path, {"MessageSid": story["sid"], "MessageStatus": "delivered"})
    began = time.monotonic()
    for _ in range(1_000):
        assert (await post(world, path, signature, form)).status_code == 204
    assert time.monotonic() - began < 40
    delivered = await entries(world, event, carrierStatus="delivered")
    assert [entry["counted"] for entry in delivered].count(True) == 1
    assert len(delivered) <= MOST_REPEATS + 1
    assert (await world.story(event["eventId"]))["status"] == "delivered"


async def test_a_replay_does_not_fill_the_history_of_a_workflow_that_is_open(world: World) -> None:
    event = world.event(deliveryTimeoutSeconds=600)
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    path = f"{CALLBACK}?eventId={event['eventId']}"
    other = "SM" + "d" * 32
    signature, form = signed(world, path, {"MessageSid": other, "MessageStatus": "delivered"})
    for _ in range(100):
        await post(world, path, signature, form)
    history = await world.workflow(event["eventId"]).fetch_history()
    signals = [one for one in history.events if one.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) <= MOST_REPEATS
    assert (await world.story(event["eventId"]))["sid"] == story["sid"]


async def test_a_captured_callback_of_one_event_says_nothing_of_another(world: World) -> None:
    mine, other = world.event(), world.event()
    for event in (mine, other):
        await world.phones.behave(event["phone"], outcome="sent")
        await world.post(event)
        await world.until(event["eventId"], "sent")
    sid = (await world.story(mine["eventId"]))["sid"]
    path = f"{CALLBACK}?eventId={mine['eventId']}"
    signature, form = signed(world, path, {"MessageSid": sid, "MessageStatus": "delivered"})
    for query in (f"?eventId={other['eventId']}", "", f"?eventId={mine['eventId']}&eventId={other['eventId']}",
                  f"?eventId={mine['eventId']}&leg=2", f"?eventId={mine['eventId']}%20"):  # fmt: skip
        assert (await post(world, CALLBACK + query, signature, form)).status_code == 403
    for path in ("/twilio/inbound", "/twilio/key", "/twilio/call-status"):
        assert (await post(world, f"{path}?eventId={mine['eventId']}", signature, form)).status_code == 403
    assert [(await world.story(event["eventId"]))["status"] for event in (mine, other)] == ["sent", "sent"]


async def test_a_key_that_was_pressed_for_one_alert_acknowledges_no_other(world: World) -> None:
    mine, other = alert(world), alert(world)
    for event in (mine, other):
        await post_alert(world, event)
        await world.until(event["eventId"], "delivered", 30)
    path = f"/twilio/key?eventId={mine['eventId']}"
    to = mine["contacts"][0]["phone"]
    signature, form = signed(world, path, {"CallSid": "CA" + "0" * 32, "Digits": "1", "To": to})
    assert (await post(world, f"/twilio/key?eventId={other['eventId']}", signature, form)).status_code == 403
    for _ in range(3):
        assert (await post(world, path, signature, form)).status_code == 200
    assert await entries(world, other, what="acknowledged") == []


@pytest.mark.parametrize("name", [names.RETENTION, names.RECONCILIATION])
async def test_no_event_takes_the_place_of_a_workflow_of_ours(world: World, name: str) -> None:
    for event_id in (name, f"{name}-2099-01-01T00:00:00Z", f"temporal-sys-scheduler:{name}"):
        answer = await world.post(world.event(eventId=event_id))
        assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, "reserved")
        batch = {"events": [{"kind": "order-shipped", **world.event(eventId=event_id)}]}
        assert (await world.http.post("/api/batches", json=batch)).json()["results"][0]["httpStatus"] == 400
        for route in ("", "/cancel", "/acknowledge", "/resend", "/reschedule"):
            method = "POST" if route else "GET"
            body = {"reason": "a test"} if route == "/resend" else {}
            answer = await world.http.request(method, f"/api/notifications/{event_id}{route}", json=body)
            assert answer.status_code == 400
        path = f"{CALLBACK}?eventId={event_id}"
        signature, form = signed(world, path, {"MessageSid": "SM" + "c" * 32, "MessageStatus": "delivered"})
        assert (await post(world, path, signature, form)).status_code == 204  # and nobody's
    assert (await world.client.get_schedule_handle(name).describe()).info.num_actions_missed_catchup_window == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"ErrorCode": str(10**30)},
        {"ErrorCode": str(2**31)},
        {"ErrorCode": "-1"},
        {"ErrorCode": "1e9"},
        {"From": "a\0b"},
        {"MessageSid": "SM" + "0" * 32 + "\n"},
        {"MessageStatus": "delivered\n"},
        {"MessageStatus": "x" * 31},
    ],
)
async def test_what_the_database_could_not_take_is_refused(world: World, fields: dict[str, str]) -> None:
    form = {"MessageSid": "SM" + "b" * 32, "MessageStatus": "failed", **fields}
    signature, form = signed(world, CALLBACK, form)
    assert (await post(world, CALLBACK, signature, form)).status_code == 400
