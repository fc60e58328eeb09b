"""Callers are told of every end, whatever their endpoint does meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.testing import TimeSkipper

from settings import SettingsError
from store.outbox import Outbox, WebhookState
from store.schema import webhooks
from tests.receiver import NEXT_SECRET, SECRET, Receiver, receiving
from tests.workflow.test_incidents import alert
from tests.workflow.test_incidents import post as post_alert
from tests.workflow.test_reminders import appointment
from tests.workflow.test_reminders import post as post_appointment
from tests.world import World, another, settings_for
from workflows import names
from workflows.reconciliation import Reconciliation


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def told(world: World, shop: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A world whose callers have an endpoint."""
    rules = {"events_webhook_url": shop.url, "events_webhook_secret": SECRET}
    async with another(world, tmp_path_factory.mktemp("told"), **rules) as other:
        yield other


@pytest.fixture(autouse=True)
def answers(shop: Receiver) -> None:
    shop.status, shop.secret, shop.headers = 204, SECRET, {}


async def listed(world: World, event: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await world.http.get("/api/webhooks", params={"eventId": event["eventId"]})
    assert answer.status_code == 200, answer.text
    return answer.json()["webhooks"]


async def until_listed(world: World, event: dict[str, Any], state: str, attempts: int = 0) -> dict[str, Any]:
    def fits(one: dict[str, Any]) -> bool:
        return one["state"] == state and one["attempts"] >= attempts

    async with asyncio.timeout(20):
        while not (found := [one for one in await listed(world, event) if fits(one)]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found[0]


async def leap(world: World, webhook_id: str) -> None:
    """Lets the clock of a webhook's workflow leap over the pauses between tries."""
    handle = world.client.get_workflow_handle(f"webhook/{webhook_id}")
    async with asyncio.timeout(60):
        await TimeSkipper(world.client).fast_forward(handle)
        await handle.result()


async def test_delivered_is_told_at_once_and_signed(told: World, shop: Receiver) -> None:
    event = told.event()
    await told.post(event)
    (webhook,) = await shop.until_told(event["eventId"])
    story = await told.until(event["eventId"], lambda story: "told_caller" in str(story["timeline"]))
    assert (webhook["type"], webhook["id"]) == ("notification.delivered", f"{event['eventId']}/1/delivered")
    assert webhook["data"] == {
        "eventId": event["eventId"], "kind": "order-shipped", "leg": 1, "status": "delivered", "sid": story["sid"],
        "errorCode": None, "escalated": False,
    }  # fmt: skip
    assert event["phone"] not in str(webhook)


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ({"outcome": "undelivered", "errorCode": 30003}, "undelivered", 30003),
        ({"outcome": "refused", "errorCode": 21211}, "failed", 21211),
        ({"outcome": "failed", "errorCode": 30007}, "failed", 30007),
    ],
)
async def test_failures_are_told_with_what_to_do(
    told: World, shop: Receiver, scenario: dict[str, Any], status: str, code: int
) -> None:
    event = told.event()
    await told.phones.behave(event["phone"], **scenario)
    await told.post(event)
    (webhook,) = await shop.until_told(event["eventId"])
    assert (webhook["type"], webhook["data"]["errorCode"]) == (f"notification.{status}", code)
    assert webhook["data"]["error"]["do"]


async def test_what_was_not_sent_is_told(told: World, shop: Receiver) -> None:
    suppressed = told.event()
    await told.http.put(
        f"/api/recipients/{suppressed['phone']}/consent", json={"status": "opted_out", "source": "phone call"}
    )
    await told.post(suppressed)
    canceled = appointment(told, timedelta(days=3), "PT24H")
    await post_appointment(told, canceled)
    await told.until(canceled["eventId"], "held")
    await told.http.post(f"/api/notifications/{canceled['eventId']}/cancel")
    for event, status in ((suppressed, "suppressed"), (canceled, "canceled")):
        (webhook,) = await shop.until_told(event["eventId"])
        assert webhook["type"] == f"notification.{status}"


async def test_expired_is_told(told: World, shop: Receiver) -> None:
    event = told.event()
    await told.phones.behave(event["phone"], createForever={"fault": "429", "retryAfter": 3600})
    await told.post(event)
    await told.until(event["eventId"], lambda story: "not_accepted" in str(story["timeline"]))
    await told.outcome(event)
    webhooks = await shop.until_told(event["eventId"], 2)
    assert [one["type"] for one in webhooks] == ["notification.overdue", "notification.expired"]


async def test_what_nobody_can_tell_is_told_and_so_is_what_it_turns_out_to_be(told: World, shop: Receiver) -> None:
    event = told.event(deliveryTimeoutSeconds=5)
    await told.phones.behave(event["phone"], outcome="sent")
    await told.post(event)
    story = await told.until(event["eventId"], "sent")
    (overdue,) = await shop.until_told(event["eventId"])
    assert (overdue["type"], overdue["data"]["status"]) == ("notification.overdue", "sent")
    await told.phones.move(story["sid"], "delivered")
    _, late = await shop.until_told(event["eventId"], 2)
    assert (late["type"], late["data"]["escalated"]) == ("notification.delivered", True)


async def test_each_step_of_an_event_is_told(told: World, shop: Receiver) -> None:
    one, other = told.event()["phone"], told.event()["phone"]
    event = alert(told, one, other)
    await told.phones.behave(one, outcome="undelivered", errorCode=30003)
    await post_alert(told, event)
    webhooks = await shop.until_told(event["eventId"], 2, 30)
    assert [(hook["data"]["leg"], hook["data"]["status"]) for hook in webhooks[:1]] == [(1, "undelivered")]
    await told.http.post(f"/api/notifications/{event['eventId']}/acknowledge")


async def test_an_endpoint_that_is_down_holds_nothing_up_and_is_told_when_it_is_back(
    told: World, shop: Receiver
) -> None:
    shop.status = 503
    event = told.event()
    await told.phones.behave(event["phone"], outcome="undelivered")
    await told.post(event)
    await told.until(event["eventId"], lambda story: "told_operators" in str(story["timeline"]))
    assert (await told.outcome(event)).status == "undelivered"
    pending = await until_listed(told, event, "pending", attempts=1)
    assert pending["answer"] == "The webhook endpoint answered HTTP 503."
    shop.status = 204
    await leap(told, pending["id"])
    (webhook,) = await shop.until_told(event["eventId"])
    assert shop.tries.count(webhook["id"]) >= 2


async def test_the_endpoints_wish_to_be_asked_later_is_honoured(told: World, shop: Receiver) -> None:
    shop.status, shop.headers = 429, {"Retry-After": "1"}
    event = told.event()
    began = asyncio.get_running_loop().time()
    await told.post(event)
    await until_listed(told, event, "pending")
    async with asyncio.timeout(10):
        while len([one for one in shop.tries if one.startswith(event["eventId"])]) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - began < 5  # without it the first pause is 5 s
    shop.status = 204
    await shop.until_told(event["eventId"])


async def test_an_endpoint_that_takes_nothing_for_days_is_disabled_and_operators_are_told(
    told: World, shop: Receiver
) -> None:
    shop.status = 500
    first = told.event()
    await told.post(first)
    pending = await until_listed(told, first, "pending", attempts=1)
    await leap(told, pending["id"])
    failed = await until_listed(told, first, "failed")
    assert failed["attempts"] > 10
    async with asyncio.timeout(15):
        while not (notices := await told.phones.notices(first["eventId"])):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert notices[0]["data"]["reason"] == "endpoint_disabled"
    (endpoint,) = (await told.http.get("/api/webhooks/endpoints")).json()["endpoints"]
    assert (endpoint["caller"], "disabledAt" in endpoint) == ("shop", True)

    second = told.event()
    await told.post(second)
    await until_listed(told, second, "withheld")
    shop.status = 204
    assert (await told.http.post("/api/webhooks/endpoints/shop/enable")).json()["count"] == 1
    await shop.until_told(second["eventId"])
    order = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "state": "failed"}
    assert (await told.http.post("/api/webhooks/redeliver", json=order)).json()["count"] >= 1
    await shop.until_told(first["eventId"])
    assert (await told.http.post("/api/webhooks/endpoints/shop/enable")).status_code == 404


async def test_an_order_does_not_wait_for_the_next_try(told: World, shop: Receiver) -> None:
    shop.status = 500
    event = told.event()
    await told.post(event)
    pending = await until_listed(told, event, "pending", attempts=2)  # from now on it pauses for 20 s
    shop.status = 204
    posted = len(shop.told(event["eventId"]))
    assert (await told.http.post("/api/webhooks/redeliver", json={"ids": [pending["id"]]})).json()["count"] == 1
    await shop.until_told(event["eventId"], posted + 1, seconds=8)
    await until_listed(told, event, "taken")


async def test_giving_up_leaves_an_order_that_comes_meanwhile_alone(told: World, shop: Receiver) -> None:
    shop.status = 500
    event = told.event()
    await told.post(event)
    await until_listed(told, event, "pending", attempts=1)
    outbox = Outbox(told.database)
    found = await outbox.get((await listed(told, event))[0]["id"])
    assert found is not None
    await outbox.reopen([found.id])
    assert not await outbox.settle(found, WebhookState.FAILED)
    assert (await listed(told, event))[0]["state"] == "pending"
    read_again = await outbox.get(found.id)
    assert read_again is not None
    assert await outbox.settle(read_again, WebhookState.FAILED)


async def test_an_endpoint_that_is_gone_is_not_asked_again(told: World, shop: Receiver) -> None:
    shop.status = 410
    event = told.event()
    await told.post(event)
    failed = await until_listed(told, event, "failed")
    assert failed["attempts"] == 1
    shop.status = 204
    assert (await told.http.post("/api/webhooks/endpoints/shop/enable")).status_code == 200


async def test_what_was_taken_is_sent_again_when_it_is_ordered(told: World, shop: Receiver) -> None:
    event = told.event()
    await told.post(event)
    (first,) = await shop.until_told(event["eventId"])
    taken = await until_listed(told, event, "taken")
    await told.http.post("/api/webhooks/redeliver", json={"ids": [taken["id"]]})
    assert await shop.until_told(event["eventId"], 2) == [first, first]  # the same in every byte that counts


async def test_during_a_rotation_receivers_check_with_either_secret(
    world: World, shop: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "webhooks"
    path.write_text(f"# callers' own\nshop {shop.url} {NEXT_SECRET} {SECRET}\n")
    async with another(world, tmp_path, events_webhooks_file=path) as other:
        for secret in (SECRET, NEXT_SECRET):
            shop.secret = secret
            event = other.event()
            await other.post(event)
            await shop.until_told(event["eventId"])


async def test_a_caller_without_an_endpoint_is_told_nothing(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    assert await listed(world, event) == []


async def test_the_reconciliation_sends_what_nobody_sends(told: World, shop: Receiver) -> None:
    """A status that reached SQL alone is told too: it was written down with its webhook."""
    event = told.event()
    await told.phones.behave(event["phone"], outcome="sent")
    await told.post(event)
    story = await told.until(event["eventId"], "sent")
    await told.workflow(event["eventId"]).terminate()
    await told.phones.move(story["sid"], "delivered")
    await until_listed(told, event, "pending")
    past = datetime.now(UTC) - timedelta(hours=1)
    async with told.database.write() as connection:
        mine = webhooks.c.event_id == event["eventId"]
        await connection.execute(update(webhooks).where(mine).values(updated_at=past))
    await told.client.execute_workflow(Reconciliation.run, id=f"sweep-{event['orderId']}", task_queue=names.TASK_QUEUE)
    (webhook,) = await shop.until_told(event["eventId"])
    assert webhook["type"] == "notification.delivered"


@pytest.mark.parametrize(
    "lines",
    [
        "shop ftp://shop.example.com whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "shop https://u:p@shop.example.com whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "shop https://shop.example.com",
        "shop https://shop.example.com whsec_short",
        f"shop https://shop.example.com {SECRET}\nshop https://shop.example.com {SECRET}",
    ],
)
def test_a_wrong_file_of_endpoints_stops_the_start(tmp_path: Path, lines: str) -> None:
    path = tmp_path / "webhooks"
    path.write_text(lines)
    with pytest.raises(SettingsError) as wrong:
        settings_for(tmp_path, events_webhooks_file=path)
    assert wrong.value.problems[0].startswith("EVENTS_WEBHOOKS_FILE: line ")
    assert "whsec_" not in wrong.value.problems[0].replace("whsec_ and", "")


async def test_orders_that_name_nothing_are_refused(world: World) -> None:
    for order in ({}, {"ids": ["x"], "since": "2026-01-01T00:00:00Z"}, {"ids": []}):
        assert (await world.http.post("/api/webhooks/redeliver", json=order)).status_code == 400


async def test_a_webhook_of_nobody_is_dropped(told: World) -> None:
    assert await Outbox(told.database).get("nobody/1/delivered") is None
