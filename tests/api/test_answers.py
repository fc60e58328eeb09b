"""Answers never repeat what was sent; what is written down of it is masked."""

import httpx
from fastapi import FastAPI

from api import problems
from tests.world import World

WRITTEN = "(555) 731-0042"


async def test_a_field_whose_name_is_a_number_is_not_repeated(world: World) -> None:
    event = world.event()
    answer = await world.http.post("/api/order-shipped-sms", json=event | {event["phone"]: 1, "bogus": 2, "007391": 3})
    assert answer.status_code == 400
    fields = [detail["field"] for detail in answer.json()["details"]]
    assert sorted(fields) == ["(a name that is none)", "(a name that is none)", "bogus"]


async def test_what_is_unexpected_is_answered_and_logged_without_the_path(caplog: object) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/{phone}")
    async def fails(phone: str) -> None:
        raise ValueError(f"cannot text {phone}")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        answer = await client.get("/555-731-0042")
    assert (answer.status_code, "731" in answer.text) == (500, False)
    assert "731" not in "".join(record.getMessage() for record in caplog.records)  # type: ignore[attr-defined]


async def test_numbers_in_consent_records_and_reasons_are_masked(world: World) -> None:
    event = world.event()
    record = {"status": "granted", "purpose": "order-updates", "source": f"call from {WRITTEN}", "wording": WRITTEN}
    answer = await world.http.put(f"/api/recipients/{event['phone']}/consent", json=record)
    (entry,) = answer.json()["records"]
    assert (entry["source"], entry["wording"]) == ("call from ***0042", "***0042")
    await world.phones.behave(event["phone"], outcome="undelivered")
    await world.post(event)
    await world.until(event["eventId"], "undelivered")
    path = f"/api/notifications/{event['eventId']}/resend"
    await world.http.post(path, json={"reason": f"he has {WRITTEN} now"})
    assert "he has ***0042 now" in str(await world.story(event["eventId"]))
