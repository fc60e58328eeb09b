"""Quiet hours, cancellation and the dry run, on the real server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from zoneinfo import ZoneInfo

import httpx
import pytest

from activities.deliver import Deliver
from notifications.quiet_hours import QuietHours
from tests.workflow.test_settling import urgent
from tests.world import World, free_port, serving, settings_for
from workflows import search_attributes
from workflows.dispatch import Dispatch


def asleep_and_awake() -> tuple[str, str]:
    """A zone where it is night now, and one where it is day."""
    zones = [f"Etc/GMT{offset:+}" for offset in range(-12, 13)]
    night = QuietHours.parse("21:00-08:00")
    far_from_the_edge = [
        (zone, {night.quiet_at((datetime.now(ZoneInfo(zone)) + timedelta(minutes=m)).time()) for m in (-30, 0, 30)})
        for zone in zones
    ]
    return (
        next(zone for zone, quiet in far_from_the_edge if quiet == {True}),
        next(zone for zone, quiet in far_from_the_edge if quiet == {False}),
    )


ASLEEP, AWAKE = asleep_and_awake()


async def delayed(world: World, **fields: Any) -> tuple[dict[str, Any], httpx.Response]:
    event = world.event(**fields)
    world.posted.append(event["eventId"])
    return event, await world.http.post("/api/order-delayed-sms", json=event)


async def test_who_is_awake_gets_it_at_once(world: World) -> None:
    event, answer = await delayed(world, timeZone=AWAKE)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    await world.until(event["eventId"], "delivered")


async def test_who_sleeps_gets_it_in_the_morning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event, answer = await delayed(world, timeZone=ASLEEP)
    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    story = await world.until(event["eventId"], "held")
    assert "quiet hours" in story["timeline"][-1]["detail"]
    assert await world.attribute(event["eventId"], search_attributes.STATUS) in ("pending", "held")
    assert await world.phones.requests(event["phone"]) == 0
    monkeypatch.setattr(Deliver, "_keep_quiet", AsyncMock())  # its clock does not leap with the workflow's
    ended = await world.outcome(event)
    assert (ended.status, ended.sid is not None) == ("sent", True) or ended.status == "delivered"
    assert len(await world.phones.texts(event["phone"])) == 1


async def test_a_text_that_was_late_into_the_night_waits_for_the_morning_too(world: World) -> None:
    """As after hours of 429: when it was accepted people were awake."""
    event = world.event()
    night = world.settings.quiet_hours
    request = urgent(event).model_copy(update={"quiet_hours": night, "time_zones": (ASLEEP,)})
    await Dispatch(world.client).start(request)
    story = await world.until(
        event["eventId"], lambda story: story["timeline"][-1:] and story["timeline"][-1]["what"] == "held"
    )
    assert "quiet hours" in story["timeline"][-1]["detail"]
    assert await world.phones.requests(event["phone"]) == 0


async def test_what_is_urgent_or_awaited_is_sent_at_night_too(world: World) -> None:
    event = world.event(timeZone=ASLEEP)
    await world.post(event)
    await world.until(event["eventId"], "delivered")


async def test_a_waiting_caller_hears_that_it_is_held(world: World) -> None:
    event = world.event(timeZone=ASLEEP)
    answer = await world.http.post("/api/order-delayed-sms", json=event, headers={"Prefer": "wait=10"})
    assert (answer.status_code, answer.json()["status"]) == (202, "held")
    assert (await world.story(event["eventId"]))["status"] == "held"
    assert (await world.http.post(f"/api/notifications/{event['eventId']}/cancel")).status_code == 200


async def test_a_held_text_is_canceled_once_and_for_all(world: World) -> None:
    event, _ = await delayed(world, timeZone=ASLEEP)
    await world.until(event["eventId"], "held")
    for _ in range(2):
        answer = await world.http.post(f"/api/notifications/{event['eventId']}/cancel")
        assert (answer.status_code, answer.json()) == (200, {"eventId": event["eventId"], "status": "canceled"})
    story = await world.until(event["eventId"], "canceled")
    assert story["timeline"][-1]["what"] == "canceled"
    ended = await world.outcome(event)
    assert (ended.status, ended.escalated) == ("canceled", False)
    assert await world.phones.requests(event["phone"]) == 0
    repeated = await world.http.post("/api/order-delayed-sms", json=event)
    assert (repeated.status_code, repeated.json()["status"]) == (200, "canceled")


async def test_it_is_too_late_to_cancel_what_is_being_sent_or_was(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 0.8}])
    await world.post(event)
    await world.until(event["eventId"], "sending")
    for status in ("sending", "delivered"):
        await world.until(event["eventId"], status)
        answer = await world.http.post(f"/api/notifications/{event['eventId']}/cancel")
        assert (answer.status_code, answer.json()["error"]) == (409, "too_late")
    assert (await world.http.post("/api/notifications/no-such-event/cancel")).status_code == 404


async def test_a_later_event_about_the_order_drops_the_older_one_that_is_held(world: World) -> None:
    order = {"orderId": "shared-7", "timeZone": ASLEEP}
    older, _ = await delayed(world, **order)
    others = [(await delayed(world, timeZone=ASLEEP))[0], (await delayed(world, **order | {"orderId": "shared-8"}))[0]]
    await world.until(older["eventId"], "held")
    later = world.event(**order)
    await world.post(later)
    story = await world.until(older["eventId"], "canceled")
    assert story["timeline"][-1]["detail"] == f"superseded by {later['eventId']}"
    await world.until(later["eventId"], "delivered")
    assert await world.phones.requests(older["phone"]) == 0
    for other in others:
        assert (await world.story(other["eventId"]))["status"] == "held"


async def test_another_callers_order_of_the_same_number_is_not_dropped(world: World) -> None:
    order = {"orderId": "ours-9", "timeZone": ASLEEP}
    ours, _ = await delayed(world, **order)
    await world.until(ours["eventId"], "held")
    theirs = world.event(**order)
    headers = {"Authorization": "Bearer another-key-for-the-tests"}
    assert (await world.http.post("/api/order-shipped-sms", json=theirs, headers=headers)).status_code == 202
    await world.until(theirs["eventId"], "delivered")
    assert (await world.story(ours["eventId"]))["status"] == "held"


async def test_a_dry_run_tells_all_and_does_nothing(world: World) -> None:
    event = world.event(locale="ja", timeZone=ASLEEP, trackingUrl="https://example.com/t/1")
    answer = await world.http.post("/api/order-delayed-sms?dryRun=true", json=event)
    told = answer.json()
    assert answer.status_code == 200
    assert told["text"].startswith("ご注文")
    assert (told["encoding"], told["segments"], told["would"], told["dryRun"]) == ("UCS-2", 1, "hold", True)
    assert datetime.fromisoformat(told["notBefore"]) > datetime.now(UTC)
    assert datetime.fromisoformat(told["localTimes"][ASLEEP]).utcoffset() is not None
    assert told["phone"] == f"***{event['phone'][-4:]}"
    awake = await world.http.post("/api/order-delayed-sms?dryRun=true", json=event | {"timeZone": AWAKE})
    assert awake.json()["would"] == "send"
    assert (await world.http.get(f"/api/notifications/{event['eventId']}")).status_code == 404


@pytest.mark.parametrize("fields", [{"phone": "nonsense"}, {"timeZone": "Mars/Olympus"}, {"orderId": ""}])
async def test_a_dry_run_refuses_what_a_post_refuses(world: World, fields: dict[str, str]) -> None:
    answer = await world.http.post("/api/order-shipped-sms?dryRun=true", json=world.event(**fields))
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, next(iter(fields)))


async def test_links_lead_where_the_settings_allow(world: World, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        database_url=world.settings.database,
        link_hosts="example.com,*.example.org",
        allowed_countries="DE",
    )
    headers = world.http.headers
    async with (
        serving(settings),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", headers=headers) as http,
    ):
        for host, status in (
            ("example.com", 200),
            ("EXAMPLE.com:8443", 200),
            ("t.example.org", 200),
            ("example.org", 400),
            ("evil-example.com", 400),
            ("example.com.evil.net", 400),
            ("evil.net", 400),
        ):
            event = world.event(trackingUrl=f"https://{host}/t/1")
            answer = await http.post("/api/order-shipped-sms?dryRun=true", json=event)
            assert answer.status_code == status, host
        assert answer.json()["details"][0]["field"] == "trackingUrl"
        refused = (await http.post("/api/order-shipped-sms?dryRun=true", json=world.event())).json()
        assert (refused["would"], refused["reason"]) == ("refuse", "US is not in ALLOWED_COUNTRIES")
