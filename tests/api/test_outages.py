"""When a part is away: told within three seconds, nothing half-done."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.api.test_callbacks import call_back, form
from tests.world import KEY, Phones, World, free_port, migrated, serving, settings_for


@pytest.fixture
async def without_temporal(tmp_path: Path, world: World):
    """An API whose Temporal is nowhere."""
    settings = settings_for(tmp_path, port=free_port(), temporal_address=f"127.0.0.1:{free_port()}")
    await migrated(settings.database)
    async with serving(settings):
        lonely = World(settings, world.client, world.database, Phones(world.phones.url))
        yield lonely
        await lonely.http.aclose()


@pytest.mark.parametrize("prefer", ["", "wait=30"])
async def test_without_temporal_an_event_is_answered_503_within_three_seconds(
    without_temporal: World, prefer: str
) -> None:
    for _ in range(2):
        begin = asyncio.get_running_loop().time()
        answer = await without_temporal.post(without_temporal.event(), Prefer=prefer)
        assert asyncio.get_running_loop().time() - begin < 3
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0


async def test_without_temporal_a_final_callback_is_answered_503_and_kept(without_temporal: World) -> None:
    begin = asyncio.get_running_loop().time()
    final = form(MessageStatus="delivered", MessageSid="SM" + "3" * 32)
    answer = await call_back(without_temporal, "?eventId=event-one", final)
    assert asyncio.get_running_loop().time() - begin < 3
    assert answer.status_code == 503
    assert (await call_back(without_temporal, "?eventId=event-one", form())).status_code == 204


async def test_without_temporal_it_lives_but_is_not_ready(without_temporal: World) -> None:
    assert (await without_temporal.http.get("/healthz")).status_code == 200
    answer = await without_temporal.http.get("/readyz")
    assert (answer.status_code, answer.json()["temporal"]) == (503, "cannot be reached")
    assert answer.json()["database"] == "ok"


async def test_without_its_database_events_are_taken_all_the_same(world: World, tmp_path: Path) -> None:
    """No event is lost for want of the database: the workflow ID guards, and the send waits for the ledger."""
    settings = settings_for(
        tmp_path,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        database_url="postgresql://nobody:nothing@127.0.0.1:1/none",
    )
    async with serving(settings):
        event = world.event()
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=10
        ) as http:
            assert (await http.post("/api/order-shipped-sms", json=event)).status_code == 202
            again = await http.post("/api/order-shipped-sms", json=event)
            assert again.status_code in (200, 202)
            assert again.json()["duplicate"] is True
            assert (await http.get(f"/api/notifications/{event['eventId']}")).status_code == 503
            assert (await http.get("/readyz")).json()["database"] == "cannot be reached"
        await world.until(event["eventId"], "delivered")
        assert await world.phones.requests(event["phone"]) == 1
