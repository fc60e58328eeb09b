"""What became of message X? One question, one answer."""

import re

import httpx

from tests.world import World


async def test_the_story_by_event_and_by_sid(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="undelivered", errorCode=30003)
    await world.post(event)
    story = await world.until(event["eventId"], lambda story: "escalated" in story)
    assert (story["status"], story["country"], story["attempts"], story["escalated"]) == (
        "undelivered", "US", 1, "not_delivered",
    )  # fmt: skip
    assert story["phone"] == f"***{event['phone'][-4:]}"
    assert story["error"]["code"] == 30003
    assert story["error"]["do"]
    assert [entry["what"] for entry in story["timeline"]][:3] == ["requested", "claimed", "sent"]
    by_sid = await world.http.get(f"/api/messages/{story['sid']}")
    assert by_sid.json() == story


async def test_what_nobody_knows_is_404(world: World) -> None:
    for path in ("/api/notifications/no-such-event", f"/api/messages/SM{'8' * 32}", "/api/nothing"):
        answer = await world.http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_ids_that_cannot_be_are_400(world: World) -> None:
    for path in ("/api/notifications/x", "/api/messages/SMxyz"):
        assert (await world.http.get(path)).status_code == 400


async def test_nobody_asks_without_a_key(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.http.base_url) as stranger:
        assert (await stranger.get("/api/notifications/no-such-event")).status_code == 401


async def test_health_and_metrics_hold_nothing_personal(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    ready = await world.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "database": "ok", "temporal": "ok", "window": "ok"},
    )
    metrics = (await world.http.get("/metrics")).text
    assert 'heliograph_events_total{kind="order-shipped",result="accepted"}' in metrics
    assert event["phone"][1:] not in metrics
    assert event["eventId"] not in metrics


async def test_the_openapi_document_has_examples_that_work(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["OrderShipped"]
    example = {}
    for name in schema["required"]:
        example[name] = schema["properties"][name]["examples"][0]
    example["eventId"] = world.event()["eventId"]
    assert (await world.post(example)).status_code == 202
    operation = document["paths"]["/api/order-shipped-sms"]["post"]
    assert set(operation["responses"]) >= {"200", "202", "400", "401", "409", "413", "502", "503"}
    assert "422" not in operation["responses"]
    assert operation["security"]
    assert re.search("Bearer", str(document["components"]["securitySchemes"]), re.IGNORECASE)


async def test_the_documentation_loads_nothing_from_elsewhere(world: World) -> None:
    page = (await world.http.get("/docs")).text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        assert (await world.http.get(source)).status_code == 200
