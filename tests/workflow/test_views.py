"""The saved views of docs/operators.md find what they say."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.views import views
from tests.workflow.test_incidents import alert
from tests.workflow.test_incidents import post as post_alert
from tests.workflow.test_reminders import appointment
from tests.workflow.test_reminders import post as post_appointment
from tests.world import World


async def finds(world: World, query: str, event_id: str) -> None:
    """Temporal's list lags a little."""
    async with asyncio.timeout(20):
        while event_id not in [run.id async for run in world.client.list_workflows(query)]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(("name", "query"), views().items())
async def test_each_view_is_a_query_that_temporal_takes(world: World, name: str, query: str) -> None:
    async for _ in world.client.list_workflows(query):
        break


async def test_failures_are_found(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30007)
    await world.post(event)
    story = await world.until(event["eventId"], "undelivered")
    found = views()
    today = found["undelivered today"].replace("2026-11-24", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    await finds(world, today, event["eventId"])
    await finds(world, found["one Twilio error (here: carrier filtering)"], event["eventId"])
    await finds(world, found["by Twilio's SID"].replace("SM" + "0" * 32, story["sid"]), event["eventId"])
    await finds(world, "Escalated = true", event["eventId"])


async def test_what_waits_is_found(world: World) -> None:
    held = appointment(world, timedelta(days=3), "PT24H")
    await post_appointment(world, held)
    fire = alert(world, world.event()["phone"])
    await post_alert(world, fire)
    await finds(world, views()["held: quiet hours, reminders, digests"], held["eventId"])
    await finds(world, views()["alerts that nobody has acknowledged"], fire["eventId"])
    await world.http.post(f"/api/notifications/{fire['eventId']}/acknowledge")


async def test_what_was_not_allowed_is_found(world: World) -> None:
    event = world.event()
    await world.http.put(f"/api/recipients/{event['phone']}/consent", json={"status": "opted_out", "source": "phone"})
    await world.post(event)
    await world.until(event["eventId"], "suppressed")
    await finds(world, views()["not allowed: opt-out, consent, country, budget"], event["eventId"])
