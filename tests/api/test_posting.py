"""Posting an event: taken once, answered alike, refused with reasons."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from privacy.encryption import KeyRing
from store.cases import Cases
from tests.world import World
from workflows import names, search_attributes
from workflows.dispatch import Dispatch


async def test_a_new_event_is_taken(world: World) -> None:
    event = world.event()
    answer = await world.post(event)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": True, "eventId": event["eventId"], "status": "pending"}
    assert answer.headers["location"] == f"/api/notifications/{event['eventId']}"


async def test_a_hundred_posts_at_once_make_one_text(world: World) -> None:
    event = world.event()
    answers = await asyncio.gather(*(world.insist(event) for _ in range(100)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert sum("accepted" in answer.json() for answer in answers) == 1
    assert all(answer.json().get("duplicate") for answer in answers if "accepted" not in answer.json())
    await world.until(event["eventId"], "delivered")
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_hundred_posts_at_once_that_wait_get_one_sid(world: World) -> None:
    event = world.event()
    answers = await asyncio.gather(*(world.insist(event, Prefer="wait=20") for _ in range(100)))
    [text] = await world.phones.texts(event["phone"])
    assert {answer.json().get("sid") for answer in answers} == {text["sid"]}
    assert sum("accepted" in answer.json() for answer in answers) == 1


async def test_a_repeat_is_answered_as_the_first_one_came_out(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    again = await world.post(event)
    assert again.status_code == 200
    assert again.json() == {
        "duplicate": True,
        "eventId": event["eventId"],
        "status": "delivered",
        "sid": story["sid"],
    }


async def test_a_repeat_before_twilio_has_it_is_on_its_way(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 0.8}])
    await world.post(event)
    again = await world.post(event)
    assert again.status_code == 202
    assert again.json()["duplicate"] is True
    assert again.json()["status"] in ("pending", "sending")


async def test_a_repeat_of_a_refused_event_is_answered_with_its_error(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="refused", errorCode=21610)
    await world.post(event)
    await world.until(event["eventId"], "failed")
    again = await world.post(event)
    assert again.status_code == 200
    assert (again.json()["status"], again.json()["errorCode"]) == ("failed", 21610)


async def test_a_repeat_is_recognised_when_the_workflow_is_gone(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.delete(event)
    again = await world.post(event)
    assert (again.status_code, again.json()["sid"]) == (200, story["sid"])
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_reset_of_an_open_workflow_finds_the_ledger_and_sends_nothing(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.reset(event)
    async with asyncio.timeout(10):
        while await world.attribute(event["eventId"], search_attributes.MESSAGE_SID) != story["sid"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_run_after_temporal_has_forgotten_the_first_finds_the_ledger_and_sends_nothing(world: World) -> None:
    """The API would answer the repeat from the ledger; here its workflow is started behind the API's back."""
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    await world.delete(event)
    case = await Cases(world.database, KeyRing(world.settings.encryption_keys)).of(event["eventId"])
    assert case is not None
    await Dispatch(world.client).start(case.request)
    await world.phones.move(story["sid"], "delivered")
    ended = await asyncio.wait_for(world.workflow(event["eventId"]).result(), 10)
    assert (ended["status"], ended["sid"]) == ("delivered", story["sid"])
    assert await world.phones.requests(event["phone"]) == 1


async def test_a_reset_of_a_closed_workflow_sends_nothing(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    run_id = await world.reset(event)
    outcome = await world.outcome(event)
    assert (await world.workflow(event["eventId"]).describe()).run_id == run_id
    assert outcome.status == "delivered"
    assert await world.phones.requests(event["phone"]) == 1


@pytest.mark.parametrize(
    "change", [{"orderId": "another"}, {"phone": "+15552999999"}, {"trackingUrl": "https://e.com/"}]
)
async def test_other_content_under_the_same_event_id_is_refused(world: World, change: dict[str, str]) -> None:
    event = world.event()
    await world.post(event)
    answers = [await world.post(event | change), await world.post(event | change, Prefer="wait=5")]
    await world.until(event["eventId"], "delivered")
    answers.append(await world.post(event | change))
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (409, "event_id_reused")
    assert await world.phones.requests(event["phone"]) == 1


async def test_another_callers_event_under_the_same_id_is_refused(world: World) -> None:
    event = world.event()
    await world.post(event)
    answer = await world.post(event, Authorization="Bearer another-key-for-the-tests")
    assert answer.status_code == 409


async def test_the_same_text_to_the_same_number_is_the_same_content(world: World) -> None:
    event = world.event()
    await world.post(event)
    now = datetime.now(UTC).isoformat()
    same = {"region": "US", "phone": event["phone"][2:], "operatorNote": "once more", "consentAt": now}
    again = await world.post(event | same)
    assert again.status_code in (200, 202)
    assert again.json()["duplicate"] is True


async def test_who_waits_hears_the_sid(world: World) -> None:
    event = world.event()
    answer = await world.post(event, Prefer="respond-async, wait=10")
    [text] = await world.phones.texts(event["phone"])
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["sid"]) == (True, text["sid"])
    assert answer.headers["preference-applied"] == "wait=10"


async def test_who_waits_hears_of_a_refusal_and_what_to_do(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="refused", errorCode=21610)
    answer = await world.post(event, Prefer="wait=10")
    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (502, "sms_delivery_failed")
    assert problem["details"]["errorCode"] == 21610
    assert problem["details"]["do"]
    assert event["phone"][1:] not in answer.text


async def test_who_waits_does_not_wait_for_longer(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "429", "retryAfter": 5}])
    begin = asyncio.get_running_loop().time()
    answer = await world.post(event, Prefer="wait=1")
    assert asyncio.get_running_loop().time() - begin < 3
    assert answer.status_code == 202
    assert answer.json()["accepted"] is True


async def test_bad_input_is_told_field_by_field_and_nothing_is_sent(world: World) -> None:
    event = world.event(phone="15558675310", orderId="", trackingUrl="ftp://x", consentAt="yesterday", extra=1)
    answer = await world.post(event)
    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (400, "invalid_request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert {detail["field"] for detail in problem["details"]} == {
        "phone",
        "orderId",
        "trackingUrl",
        "consentAt",
        "extra",
    }
    assert "example +15558675310" in next(d["problem"] for d in problem["details"] if d["field"] == "phone")
    assert (await world.http.get(f"/api/notifications/{event['eventId']}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"1e999",
        b"\xff\xfe",
        b'{"\\ud800": 1}',
        b'{"eventId": "\\ud800"}',
        b"[" * 5000,
        b'{"eventId":' + b"9" * 5000 + b"}",
    ],
)
async def test_no_body_is_more_than_refused(world: World, body: bytes) -> None:
    answer = await world.http.post("/api/order-shipped-sms", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    answer = await world.http.post("/api/order-shipped-sms", content=b"x" * 70_000)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")

    async def unannounced() -> Any:
        for _ in range(70):
            yield b"x" * 1000

    answer = await world.http.post("/api/order-shipped-sms", content=unannounced())
    assert answer.status_code == 413


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "Basic c2hvcDp4", "Bearer ключ".encode()])
async def test_nobody_posts_without_a_key(world: World, authorization: Any) -> None:
    headers = [("Authorization", authorization)] if authorization else []
    async with httpx.AsyncClient(base_url=world.http.base_url) as stranger:
        answer = await stranger.post("/api/order-shipped-sms", json=world.event(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_event_older_than_the_window_is_refused(world: World) -> None:
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    answer = await world.post(world.event(occurredAt=old, consentAt=old))
    assert (answer.status_code, answer.json()["error"]) == (400, "event_too_old")
    recent = (datetime.now(UTC) - timedelta(days=29)).isoformat()
    assert (await world.post(world.event(occurredAt=recent, consentAt=recent))).status_code == 202


async def test_the_workflow_is_found_under_the_event_id(world: World) -> None:
    event = world.event()
    await world.post(event)
    description = await world.workflow(event["eventId"]).describe()
    assert (description.workflow_type, description.task_queue) == ("Notification", names.TASK_QUEUE)
    assert await description.static_summary() == f"order-shipped to ***{event['phone'][-4:]} (US)"
