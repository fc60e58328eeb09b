"""Status callbacks: Twilio's alone, each one kept, only final ones signalled."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from twilio.request_validator import RequestValidator

from settings import SIMULATOR_AUTH_TOKEN
from tests.world import World
from workflows import search_attributes

SID = "SM" + "1" * 32


async def call_back(
    world: World, query: str, form: dict[str, str], *, token: str = SIMULATOR_AUTH_TOKEN, signature: str | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:  # fmt: skip
    """As Twilio would: signed over the URL that it was given, form encoded."""
    path = f"/twilio/status-callback{query}"
    if signature is None:
        signature = RequestValidator(token).compute_signature(world.settings.base_url + path, form)
    return await world.http.post(
        path,
        content=urlencode(form),
        headers={"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        | (headers or {}),
    )


def form(**fields: str) -> dict[str, str]:
    return {
        "MessageSid": SID, "SmsSid": SID, "AccountSid": "AC" + "0" * 32, "MessageStatus": "sent", "SmsStatus": "sent",
        "From": "+15005550006", "To": "+15558675310", "ApiVersion": "2010-04-01",
    } | fields  # fmt: skip


async def test_a_signed_callback_of_an_unknown_message_is_taken_and_kept(world: World) -> None:
    sid = "SM" + "2" * 32
    answer = await call_back(world, "?eventId=no-such-event", form(MessageSid=sid, MessageStatus="delivered"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await world.http.get(f"/api/messages/{sid}")


async def test_blank_unknown_and_unicode_parameters_are_part_of_the_signature(world: World) -> None:
    fields = form(ToCity="", NewParameter="ü 💌 + & =", ErrorCode="")
    assert (await call_back(world, "?eventId=no-such-event", fields)).status_code == 204


@pytest.mark.parametrize(
    "query", ["", "?eventId=no-such-event", "?eventId=a%2Fb&x=%7e&x=1", "?x=1&&y", "?eventId=%F0%9F"]
)
async def test_the_query_is_checked_byte_for_byte(world: World, query: str) -> None:
    assert (await call_back(world, query, form())).status_code == 204


async def test_behind_a_proxy_the_public_url_counts(world: World) -> None:
    headers = {"Host": "internal:1234", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    assert (await call_back(world, "?eventId=no-such-event", form(), headers=headers)).status_code == 204


@pytest.mark.parametrize(
    "forged",
    [
        {"signature": ""},
        {"signature": "bm90IGEgc2lnbmF0dXJl"},
        {"token": "another-token-that-is-long-enough"},
        {"headers": {"Content-Type": "application/json"}},
        {"headers": {"Content-Type": "text/plain"}},
    ],
)
async def test_forged_callbacks_get_403(world: World, forged: dict[str, Any]) -> None:
    answer = await call_back(world, "?eventId=no-such-event", form(), **forged)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


async def test_a_changed_parameter_breaks_the_signature(world: World) -> None:
    url = world.settings.base_url + "/twilio/status-callback?eventId=no-such-event"
    signature = RequestValidator(SIMULATOR_AUTH_TOKEN).compute_signature(url, form())
    for changed in (form(MessageStatus="delivered"), form(Extra=""), {"MessageSid": SID}):
        answer = await call_back(world, "?eventId=no-such-event", changed, signature=signature)
        assert answer.status_code == 403
    assert (await call_back(world, "?eventId=other-event", form(), signature=signature)).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"MessageSid": "SM12"},
        {"MessageSid": ""},
        {"MessageStatus": ""},
        {"MessageStatus": "DROP TABLE"},
        {"ErrorCode": "x"},
    ],
)
async def test_what_is_signed_but_no_callback_gets_400(world: World, fields: dict[str, str]) -> None:
    answer = await call_back(world, "?eventId=no-such-event", form(**fields))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_status_that_twilio_has_added_since_is_kept_and_does_not_count(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    story = await world.until(event["eventId"], "sent")
    query = f"?eventId={event['eventId']}"
    answer = await call_back(world, query, form(MessageSid=story["sid"], MessageStatus="teleported"))
    assert answer.status_code == 204
    timeline = (await world.story(event["eventId"]))["timeline"]
    assert [entry["counted"] for entry in timeline if entry.get("carrierStatus") == "teleported"] == [False]


async def test_only_final_statuses_are_signalled(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await asyncio.wait_for(world.workflow(event["eventId"]).result(), 10)  # a leaping clock would add to its history
    history = await world.workflow(event["eventId"]).fetch_history()
    signals = [one for one in history.events if one.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) <= 1
    assert len(history.events) <= 21


async def test_a_final_status_after_the_workflow_has_ended_is_kept(world: World) -> None:
    event = world.event()
    await world.post(event)
    story = await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    query = f"?eventId={event['eventId']}"
    answer = await call_back(
        world, query, form(MessageSid=story["sid"], MessageStatus="undelivered", ErrorCode="30008")
    )
    assert answer.status_code == 204
    story = await world.story(event["eventId"])
    assert story["status"] == "delivered"
    assert story["timeline"][-1]["detail"] == "contradicts the final status"


async def test_a_second_message_for_one_leg_is_recorded_flagged_counted_and_told_once(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], outcome="sent")
    await world.post(event)
    await world.until(event["eventId"], "sent")
    query, second = f"?eventId={event['eventId']}", "SM" + "9" * 32
    for status in ("sent", "delivered", "delivered"):
        assert (await call_back(world, query, form(MessageSid=second, MessageStatus=status))).status_code == 204
    story = await world.until(event["eventId"], lambda story: story.get("escalated") == "duplicate_send")
    assert (story["status"], story["duplicateSend"]) == ("sent", True)
    details = [entry.get("detail") or "" for entry in story["timeline"] if entry.get("sid") == second]
    assert sum("another message" in detail for detail in details) == 3
    [notice] = await world.phones.notices(event["eventId"])
    assert (notice["data"]["reason"], notice["data"]["sid"]) == ("duplicate_send", second)
    assert await world.attribute(event["eventId"], search_attributes.DUPLICATE_SEND) is True
    assert "heliograph_second_messages_total" in (await world.http.get("/metrics")).text


async def test_a_second_message_is_told_when_the_workflow_has_ended_too(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    await world.outcome(event)
    assert await world.phones.notices(event["eventId"]) == []
    query, second = f"?eventId={event['eventId']}", "SM" + "c7" * 16
    await call_back(world, query, form(MessageSid=second, MessageStatus="delivered"))
    await world.until(event["eventId"], lambda story: story.get("escalated") == "duplicate_send")
    notice = world.workflow(f"notice/{event['eventId']}/1/duplicate_send")
    flags = (await notice.describe()).typed_search_attributes
    assert flags.get(search_attributes.DUPLICATE_SEND) is True
