"""Texts go where the settings let them go, and operators are told when somebody sends too much."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.world import World, another

ENDS = ("delivered", "suppressed")


async def why_suppressed(world: World, event: dict[str, Any]) -> str:
    story = await world.until(event["eventId"], "suppressed", 30)
    assert await world.phones.requests(event["phone"]) == 0
    return next(entry["detail"] for entry in story["timeline"] if entry["what"] == "suppressed")


async def notices(world: World, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """What operators are told of these events, as soon as there is anything."""
    told = world.phones.notices
    async with asyncio.timeout(15):
        while not (found := [one for event in events for one in await told(event["eventId"])]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        ("+493012345678", "fixed-line is not in ALLOWED_NUMBER_TYPES"),
        ("+33612345678", "FR is not in ALLOWED_COUNTRIES"),
        ("+4915123456789", None),
    ],
)
async def test_only_some_countries_and_sorts_of_numbers(
    world: World, tmp_path: Path, phone: str, why: str | None
) -> None:
    rules = {"allowed_countries": "DE", "allowed_number_types": "mobile", "quiet_hours": "none"}
    async with another(world, tmp_path, **rules) as strict:
        event = strict.event(phone=phone)
        dry = (await strict.http.post("/api/order-shipped-sms?dryRun=true", json=event)).json()
        assert dry.get("reason") == why
        await strict.post(event)
        if why is None:
            await strict.until(event["eventId"], "delivered")
        else:
            assert await why_suppressed(strict, event) == why


async def test_over_budget_nothing_is_sent_and_operators_are_told_once(world: World, tmp_path: Path) -> None:
    async with another(world, tmp_path, country_budget="1") as strict:
        events = [strict.event() for _ in range(3)]
        for event in events:
            await strict.post(event)
        stories = [await strict.until(event["eventId"], lambda story: story["status"] in ENDS) for event in events]
        assert sorted(story["status"] for story in stories) == ["delivered", "suppressed", "suppressed"]
        told = await notices(strict, *events)
        assert [one["data"]["reason"] for one in told] == ["budget_exceeded"]


async def test_pumping_is_held_told_and_released_by_an_operator(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.deliver.HELD_LOOKS_AGAIN_AFTER", 0.5)
    async with another(world, tmp_path, pumping_limit="1/10m") as strict:
        first, second, third = (strict.event(phone=f"+1555800000{number}") for number in range(3))
        await strict.post(first)
        await strict.until(first["eventId"], "delivered")
        await strict.post(second)
        await strict.until(second["eventId"], lambda story: "PUMPING_LIMIT" in str(story))
        (notice,) = await notices(strict, second)
        assert notice["data"]["reason"] == "pumping"
        (held,) = (await strict.http.get("/api/ranges")).json()
        assert (held["digits"], held["country"], held["waiting"]) == ("+1555800", "US", 1)
        assert await strict.phones.requests(second["phone"]) == 0
        answer = await strict.http.post(f"/api/ranges/{held['id']}", json={"decision": "release"})
        assert answer.json() == {"decision": "release"}
        await strict.until(second["eventId"], "delivered")
        await strict.http.post(f"/api/ranges/{held['id']}", json={"decision": "block"})
        await strict.post(third)
        assert await why_suppressed(strict, third) == "its range of numbers was blocked by shop"


async def test_an_operators_decision_is_checked(world: World) -> None:
    path = "/api/ranges/" + "0" * 32
    assert (await world.http.post(path, json={"decision": "release"})).status_code == 404
    assert (await world.http.post(path, json={"decision": "perhaps"})).status_code == 400
    assert (await world.http.get("/api/ranges")).json() == []


async def test_budgets_are_counted_by_day(world: World, tmp_path: Path) -> None:
    async with another(world, tmp_path, caller_budget="10,shop=1") as strict:
        first, second = strict.event(), strict.event()
        await strict.post(first)
        await strict.until(first["eventId"], "delivered")
        async with strict.database.write() as connection:
            await connection.execute(text("UPDATE counters SET begins_at = '2020-01-01 00:00:00.000000'"))
        await strict.post(second)
        await strict.until(second["eventId"], "delivered")
