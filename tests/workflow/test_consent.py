"""Nobody is texted without his consent, nor after he has said stop, whenever he said it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from settings import SIMULATOR_ACCOUNT_SID, SIMULATOR_AUTH_TOKEN, SIMULATOR_FROM_NUMBER
from tests.workflow.test_incidents import alert, texts
from tests.workflow.test_incidents import post as post_alert
from tests.workflow.test_reminders import appointment
from tests.workflow.test_reminders import post as post_appointment
from tests.world import World


def ago(**units: float) -> str:
    return (datetime.now(UTC) - timedelta(**units)).isoformat()


async def consent(world: World, phone: str, **record: Any) -> dict[str, Any]:
    body = {"source": "test", **record}
    answer = await world.http.put(f"/api/recipients/{phone}/consent", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def standing(world: World, phone: str) -> dict[str, Any]:
    return (await world.http.get(f"/api/recipients/{phone}/consent")).json()


async def why_suppressed(world: World, event: dict[str, Any]) -> str:
    story = await world.until(event["eventId"], "suppressed", 30)
    assert await world.phones.requests(event["phone"]) == 0
    return next(entry["detail"] for entry in story["timeline"] if entry["what"] == "suppressed")


async def inbound(world: World, phone: str, body: str, sid: str, **more: str) -> str:
    """A message that comes in, signed as Twilio signs it."""
    form = {
        "AccountSid": SIMULATOR_ACCOUNT_SID,
        "MessageSid": sid,
        "From": phone,
        "To": SIMULATOR_FROM_NUMBER,
        "Body": body,
        **more,
    }
    url = f"http://127.0.0.1:{world.settings.port}/twilio/inbound"
    signature = RequestValidator(SIMULATOR_AUTH_TOKEN).compute_signature(url, form)
    answer = await world.http.post("/twilio/inbound", data=form, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 200
    return answer.text


def sid(number: int) -> str:
    return f"SM{number:032x}"


async def test_a_stop_wins_that_comes_while_a_text_is_held(world: World) -> None:
    event = appointment(world, timedelta(days=3), "PT24H")
    assert (await post_appointment(world, event)).json()["status"] == "held"
    assert "<Message>" not in await inbound(world, event["phone"], "STOP", sid(1))
    assert (await world.outcome(event)).status == "suppressed"
    assert "opted out" in await why_suppressed(world, event)


@pytest.mark.parametrize("says", ["please stop texting me", "Bitte keine SMS mehr"])
async def test_a_sentence_counts_as_well_and_is_answered_once(world: World, says: str) -> None:
    event = world.event()
    assert "no more texts" in await inbound(world, event["phone"], says, sid(2))
    await world.post(event)
    assert "opted out" in await why_suppressed(world, event)


async def test_start_lifts_it(world: World) -> None:
    event = world.event()
    await inbound(world, event["phone"], "STOP", sid(3))
    assert "<Message>" not in await inbound(world, event["phone"], "START", sid(4))
    await world.post(event)
    await world.until(event["eventId"], "delivered")


async def test_a_captured_start_does_not_lift_a_later_stop(world: World) -> None:
    event = world.event()
    for body, number in (("STOP", 5), ("START", 6), ("STOP", 7), ("START", 6)):
        await inbound(world, event["phone"], body, sid(number))
    assert (await standing(world, event["phone"]))["optedOut"]


async def test_advanced_opt_out_is_understood_by_its_parameter(world: World) -> None:
    event = world.event()
    assert "<Message>" not in await inbound(world, event["phone"], "ARRETE", sid(8), OptOutType="STOP")
    assert (await standing(world, event["phone"]))["optedOut"]


async def test_an_opt_out_that_only_twilio_knew_of_is_learnt_from_its_refusal(world: World) -> None:
    first = world.event()
    await world.phones.behave(first["phone"], outcome="refused", errorCode=21610)
    await world.post(first)
    await world.until(first["eventId"], "failed")
    again = world.event(phone=first["phone"])
    await world.post(again)
    await world.until(again["eventId"], "suppressed")
    assert await world.phones.requests(first["phone"]) == 1


async def test_an_opt_out_that_a_callback_tells_of_is_learnt_too(world: World) -> None:
    first = world.event()
    await world.phones.behave(first["phone"], outcome="failed", errorCode=21610)
    await world.post(first)
    await world.until(first["eventId"], "failed")
    async with asyncio.timeout(10):
        while not (await standing(world, first["phone"]))["optedOut"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_consent_lapses_with_a_dead_number_and_is_needed_anew(world: World) -> None:
    first = world.event()
    await world.phones.behave(first["phone"], outcome="undelivered", errorCode=30005)
    await world.post(first)
    await world.until(first["eventId"], "undelivered")
    await world.phones.behave(first["phone"])
    stale = world.event(phone=first["phone"])
    await world.post(stale)
    story = await world.until(stale["eventId"], "suppressed")
    assert "lapsed" in str(story["timeline"])
    await consent(world, first["phone"], status="granted", purpose="order-updates", source="shop: number confirmed")
    anew = world.event(phone=first["phone"])
    await world.post(anew)
    await world.until(anew["eventId"], "delivered")


async def test_an_alert_climbs_past_a_contact_who_has_withdrawn_his_consent(world: World) -> None:
    gone, next_one = world.event()["phone"], world.event()["phone"]
    await consent(world, gone, status="revoked", purpose="incidents", source="left the team")
    event = alert(world, gone, next_one)
    await post_alert(world, event)
    await world.until(event["eventId"], lambda story: "consent for incidents was withdrawn" in str(story), 20)
    await world.until(event["eventId"], "delivered", 20)
    assert (len(await texts(world, gone)), len(await texts(world, next_one))) == (0, 1)
    await world.http.post(f"/api/notifications/{event['eventId']}/acknowledge")


async def test_consent_that_was_withdrawn_later_does_not_count(world: World) -> None:
    event = world.event(consentAt=ago(days=2))
    await consent(world, event["phone"], status="revoked", purpose="order-updates", at=ago(days=1))
    await world.post(event)
    assert "withdrawn" in await why_suppressed(world, event)


async def test_consent_to_one_purpose_is_none_to_another(world: World) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    found = (await standing(world, event["phone"]))["purposes"]
    assert found["order-updates"]["mayText"]
    assert found["appointments"] == {
        "mayText": False, "why": "no consent for appointments is recorded", "consentAt": None,
    }  # fmt: skip


async def test_consent_that_has_expired_does_not_count(world: World) -> None:
    phone = world.event()["phone"]
    now = datetime.now(UTC)
    answer = await consent(
        world,
        phone,
        status="granted",
        purpose="support",
        at=ago(days=2),
        expiresAt=(now - timedelta(days=1)).isoformat(),
    )
    assert "expired" in answer["purposes"]["support"]["why"]


async def test_an_events_consent_is_kept_as_evidence_once(world: World) -> None:
    events = [world.event()]
    events.append(world.event(phone=events[0]["phone"], consentAt=events[0]["consentAt"]))
    for event in events:
        await world.post(event)
        await world.until(event["eventId"], "delivered")
    (record,) = (await standing(world, events[0]["phone"]))["records"]
    assert (record["source"], record["eventId"], record["recordedBy"]) == ("event", events[0]["eventId"], "shop")
    assert datetime.fromisoformat(record["at"]) == datetime.fromisoformat(events[0]["consentAt"])


async def test_what_an_operator_records_of_a_phone_call_counts(world: World) -> None:
    event = world.event()
    answer = await consent(world, event["phone"], status="opted_out", source="phone call")
    assert answer["optedOut"]
    assert answer["phone"] == "***" + event["phone"][-4:]
    await world.post(event)
    assert "opted out" in await why_suppressed(world, event)
    assert not (await consent(world, event["phone"], status="opted_in", source="phone call"))["optedOut"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "granted", "source": "form"}, "(body)"),
        ({"status": "lapsed", "source": "form"}, "status"),
        ({"status": "revoked"}, "source"),
        ({"status": "revoked", "source": "form", "at": "2026-01-01T00:00:00"}, "at"),
        ({"status": "revoked", "source": "form", "at": "2126-01-01T00:00:00Z"}, "at"),
    ],
)
async def test_bad_records_are_told(world: World, body: dict[str, Any], field: str) -> None:
    answer = await world.http.put("/api/recipients/+15558675310/consent", json=body)
    assert (answer.status_code, [one["field"] for one in answer.json()["details"]]) == (400, [field])


async def test_a_bad_number_is_told(world: World) -> None:
    answer = await world.http.get("/api/recipients/5558675310/consent")
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "phone")
