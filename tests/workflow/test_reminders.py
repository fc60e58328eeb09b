"""Appointment reminders on the real server: several texts under one event, held, moved, dropped."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock
from zoneinfo import ZoneInfo

import httpx
import pytest

from activities.deliver import Deliver
from tests.api.test_holding import ASLEEP, AWAKE
from tests.world import World
from workflows import search_attributes


def appointment(world: World, starts_in: timedelta, *before: str, **fields: Any) -> dict[str, Any]:
    event = world.event(orderId=None)
    starts = datetime.now(UTC) + starts_in
    return event | {
        "eventId": event["eventId"].replace("order-shipped", "appointment"),
        "appointmentId": "A-1207",
        "startsAt": starts.isoformat(),
        "remindBefore": list(before),
        "timeZone": AWAKE,
        **fields,
    }


async def post(world: World, event: dict[str, Any], **headers: str) -> httpx.Response:
    world.posted.append(event["eventId"])
    return await world.http.post("/api/appointment-reminder-sms", json=event, headers=headers)


async def ask(world: World, event: dict[str, Any], what: str, **body: Any) -> httpx.Response:
    return await world.http.post(f"/api/notifications/{event['eventId']}/{what}", json=body or None)


def details(story: dict[str, Any]) -> list[str]:
    return [f"{entry['what']} {entry.get('detail')}" for entry in story["timeline"]]


async def test_each_reminder_is_a_text_of_its_own_under_one_event(world: World) -> None:
    event = appointment(world, timedelta(seconds=60), "PT58S", "PT54S")
    answer = await post(world, event)
    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    story = await world.until(event["eventId"], lambda story: "step sms" in str(details(story)), 20)
    assert any("PT54S before the appointment" in line for line in details(story))
    await world.until(event["eventId"], lambda story: story["attempts"] == 2 and story["status"] == "delivered", 20)
    texts = await world.phones.texts(event["phone"])
    assert len(texts) == 2
    assert len({text["sid"] for text in texts}) == 2
    assert (await world.outcome(event)).leg == 2


async def test_a_repeat_is_answered_and_texts_nobody(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    assert (await post(world, event)).status_code == 202
    for headers in ({}, {"Prefer": "wait=5"}):
        repeat = await post(world, event, **headers)
        assert (repeat.status_code, repeat.json()["status"]) == (202, "held")
        assert "accepted" not in repeat.json() or headers
    changed = await post(world, event | {"remindBefore": ["PT23H"]})
    assert (changed.status_code, changed.json()["error"]) == (409, "event_id_reused")
    assert await world.phones.requests(event["phone"]) == 0


async def test_times_that_have_passed_are_left_out(world: World) -> None:
    event = appointment(world, timedelta(hours=3), "PT24H", "PT2H")
    assert (await post(world, event)).json()["status"] == "held"
    story = await world.until(event["eventId"], "held")
    assert any("left_out PT24H before has passed" in line for line in details(story))


async def test_when_all_times_have_passed_one_text_goes_now(world: World) -> None:
    event = appointment(world, timedelta(minutes=30), "PT24H", "PT2H")
    assert (await post(world, event)).json()["status"] == "pending"
    await world.until(event["eventId"], "delivered")
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_an_appointment_that_has_begun_is_refused_and_its_repeat_is_not(world: World) -> None:
    begun = appointment(world, timedelta(seconds=-1), "PT2H")
    answer = await post(world, begun)
    assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, "too_late")
    soon = appointment(world, timedelta(seconds=3), "PT2H")
    assert (await post(world, soon)).status_code == 202
    await world.until(soon["eventId"], "delivered")
    await asyncio.sleep(3)
    assert (await post(world, soon)).status_code == 200


async def test_a_reminder_whose_quiet_hours_end_after_the_appointment_is_dropped_as_expired(world: World) -> None:
    event = appointment(world, timedelta(minutes=20), "PT10M", timeZone=ASLEEP)
    await post(world, event)
    story = await world.until(event["eventId"], "expired")
    assert any("end too late for it" in line for line in details(story))
    assert await world.phones.requests(event["phone"]) == 0
    assert (await world.outcome(event)).status == "expired"


async def test_reminders_over_weeks_by_a_clock_that_leaps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deliver, "_keep_quiet", AsyncMock())  # its clock does not leap with the workflow's
    event = appointment(world, timedelta(days=45), "P30D", "P7D", "PT24H")
    await post(world, event)
    await world.until(event["eventId"], "held")
    ended = await world.outcome(event)
    assert (ended.leg, len(await world.phones.texts(event["phone"]))) == (3, 3)


async def test_what_is_held_can_be_canceled_and_then_nothing_is_sent(world: World) -> None:
    event = appointment(world, timedelta(seconds=64), "PT60S")
    await post(world, event)
    await world.until(event["eventId"], "held")
    answer = await ask(world, event, "cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert (await ask(world, event, "cancel")).status_code == 200  # twice is once
    await asyncio.sleep(5)
    assert (await world.story(event["eventId"]))["status"] == "canceled"
    assert await world.phones.requests(event["phone"]) == 0


async def test_canceling_after_the_first_reminder_drops_the_second(world: World) -> None:
    event = appointment(world, timedelta(seconds=120), "PT118S", "PT60S")
    await post(world, event)
    await world.until(event["eventId"], lambda story: story["attempts"] == 1 and story["status"] == "held")
    assert (await ask(world, event, "cancel")).status_code == 200
    assert (await world.outcome(event)).status == "canceled"
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_an_appointment_that_is_moved_is_reminded_of_at_its_new_time(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    await post(world, event)
    await world.until(event["eventId"], "held")
    new = datetime.now(UTC) + timedelta(days=1, seconds=2)
    answer = await ask(world, event, "reschedule", startsAt=new.isoformat())
    assert (answer.status_code, answer.json()["status"]) == (200, "held")
    await world.until(event["eventId"], "delivered")
    (text,) = await world.phones.texts(event["phone"])
    assert f"{new.astimezone(ZoneInfo(AWAKE)):%-d, %-I:%M %p}" in text["body"]
    late = await ask(world, event, "reschedule", startsAt=(new + timedelta(days=1)).isoformat())
    assert (late.status_code, late.json()["error"]) == (409, "too_late")
    repeat = await post(world, event)
    assert (repeat.status_code, repeat.json()["duplicate"]) == (200, True)


async def test_what_was_moved_a_moment_ago_is_changed_from_where_it_is_now(world: World) -> None:
    event = appointment(world, timedelta(days=5), "PT24H", "PT2H")
    await post(world, event)
    new = datetime.now(UTC) + timedelta(days=9)
    assert (await ask(world, event, "reschedule", startsAt=new.isoformat())).status_code == 200
    answer = await ask(world, event, "reschedule", remindBefore=["PT48H"])
    due = datetime.fromisoformat(answer.json()["notBefore"])
    assert abs(due - (new - timedelta(hours=48))) < timedelta(seconds=1)
    await ask(world, event, "cancel")


async def test_what_cannot_be_rescheduled_is_told(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    await post(world, event)
    await world.until(event["eventId"], "held")
    for body, code in (
        ({"startsAt": "tomorrow"}, "timestamp"),
        ({"startsAt": "2020-01-01T09:00:00Z"}, "too_late"),
        ({"timeZone": "Mars/Olympus"}, "time_zone"),
        ({"phone": "+15558675310"}, "extra_forbidden"),
    ):
        answer = await ask(world, event, "reschedule", **body)
        assert (answer.status_code, answer.json()["details"][0]["code"]) == (400, code)
    order = world.event()
    await world.post(order)
    assert (await ask(world, order, "reschedule", timeZone=AWAKE)).json()["error"] == "not_reschedulable"
    nothing = await world.http.post("/api/notifications/nobody-knows-it/reschedule", json={"timeZone": AWAKE})
    assert nothing.status_code == 404


async def test_of_many_moves_at_once_the_last_one_stands_and_one_text_goes(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    await post(world, event)
    await world.until(event["eventId"], "held")
    start = datetime.now(UTC) + timedelta(days=1, seconds=4)
    answers = await asyncio.gather(
        *(ask(world, event, "reschedule", startsAt=(start + timedelta(milliseconds=n)).isoformat()) for n in range(6))
    )
    assert {answer.status_code for answer in answers} <= {200, 409, 503}  # 503: try again
    assert 200 in {answer.status_code for answer in answers}
    await world.until(event["eventId"], "delivered")
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_failed_reminder_is_told_and_the_next_one_goes_all_the_same(world: World) -> None:
    event = appointment(world, timedelta(seconds=120), "PT118S", "PT112S")
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30003)
    await post(world, event)
    await world.until(event["eventId"], lambda story: story["attempts"] == 1 and story["status"] == "held", 20)
    await world.phones.behave(event["phone"], outcome="delivered")
    await world.until(event["eventId"], "delivered", 20)
    assert [notice["data"]["reason"] for notice in await world.phones.notices(event["eventId"])] == ["not_delivered"]


async def test_a_late_callback_of_the_first_reminder_is_not_taken_for_the_second(world: World) -> None:
    event = appointment(world, timedelta(seconds=300), "PT298S", "PT60S", deliveryTimeoutSeconds=5)
    await world.phones.behave(event["phone"], outcome="sent")
    await post(world, event)
    story = await world.until(event["eventId"], "sent")
    first = story["sid"]
    await world.until(event["eventId"], lambda story: "escalated" in story, 20)
    await world.leap(event)
    await world.until(event["eventId"], lambda story: story.get("sid") not in (None, first))
    await world.phones.move(first, "delivered")
    story = await world.until(
        event["eventId"], lambda story: any(one.get("carrierStatus") == "delivered" for one in story["timeline"])
    )
    assert (story["status"], story["sid"] == first) == ("sent", False)
    assert await world.attribute(event["eventId"], search_attributes.STATUS) == "sent"
