"""Alerts on the real server: they climb, are acknowledged, folded, capped and resolved."""

import asyncio
from typing import Any

import httpx
import pytest

from notifications.storm import code_of
from store.alerts import Alerts
from tests.world import World
from workflows import search_attributes


def phone_of(world: World) -> str:
    return world.event()["phone"]


def alert(world: World, *phones: str, **fields: Any) -> dict[str, Any]:
    event = world.event(orderId=None, phone=None)
    name = event["eventId"].replace("order-shipped", "incident")
    return event | {
        "eventId": name,
        "groupKey": f"group of {name}",
        "service": "checkout-api",
        "severity": "critical",
        "summary": "5xx over 5 % for 3 minutes",
        "contacts": [{"phone": phone} for phone in phones or (phone_of(world),)],
        "channels": ["sms"],
        "acknowledgeWithinSeconds": 5,
        "rounds": 1,
        **fields,
    }


async def post(world: World, event: dict[str, Any], kind: str = "incident-alert") -> httpx.Response:
    world.posted.append(event["eventId"])
    return await world.insist(event, kind)


async def resolve(world: World, event: dict[str, Any]) -> dict[str, Any]:
    resolved = {"eventId": f"{event['eventId']}:resolved", "groupKey": event["groupKey"]}
    assert (await post(world, resolved, "incident-resolved")).status_code == 202
    return resolved


async def acknowledge(world: World, event: dict[str, Any]) -> httpx.Response:
    return await world.http.post(f"/api/notifications/{event['eventId']}/acknowledge")


async def texts(world: World, phone: str) -> list[str]:
    return [text["body"] for text in await world.phones.texts(phone)]


async def until_texted(world: World, phone: str, count: int = 1, seconds: float = 20) -> list[str]:
    async with asyncio.timeout(seconds):
        while len(found := await texts(world, phone)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def reasons(world: World, event: dict[str, Any]) -> list[str]:
    return [notice["data"]["reason"] for notice in await world.phones.notices(event["eventId"])]


async def test_the_first_contact_is_texted_at_once_and_told_how_to_acknowledge(world: World) -> None:
    event = alert(world, phone := phone_of(world))
    assert (await post(world, event)).status_code == 202
    (body,) = await until_texted(world, phone)
    code = code_of(event["eventId"])
    assert body == f"CRITICAL checkout-api: 5xx over 5 % for 3 minutes - Reply 1 or {code} to acknowledge."
    await acknowledge(world, event)


async def test_it_climbs_while_nobody_acknowledges_and_tells_operators_in_the_end(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    event = alert(world, first, second)
    await post(world, event)
    await until_texted(world, first)
    ended = await world.outcome(event)
    assert (ended.escalated, ended.leg) == (True, 2)
    assert [len(await texts(world, phone)) for phone in (first, second)] == [1, 1]
    assert await reasons(world, event) == ["not_acknowledged"]


async def test_rounds_are_repeated_as_often_as_was_asked_for(world: World) -> None:
    event = alert(world, phone := phone_of(world), rounds=2)
    await post(world, event)
    await until_texted(world, phone)
    ended = await world.outcome(event)
    assert ended.leg == 2
    assert await reasons(world, event) == ["not_acknowledged", "not_acknowledged"]


async def test_it_climbs_at_once_when_the_text_does_not_get_through(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    await world.phones.behave(first, outcome="undelivered")
    event = alert(world, first, second, acknowledgeWithinSeconds=7200)
    await post(world, event)
    await until_texted(world, second)
    assert await acknowledge(world, event)


async def test_an_acknowledgement_by_api_stops_the_ladder_and_is_seen_in_temporal(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    event = alert(world, first, second)
    await post(world, event)
    await until_texted(world, first)
    answer = await acknowledge(world, event)
    assert (answer.status_code, answer.json()) == (200, {"eventId": event["eventId"], "acknowledged": True})
    assert (await acknowledge(world, event)).status_code == 200
    await world.outcome(event)
    assert await texts(world, second) == []
    assert await world.attribute(event["eventId"], search_attributes.ACKNOWLEDGED) is True
    story = await world.story(event["eventId"])
    assert [entry["detail"] for entry in story["timeline"] if entry["what"] == "acknowledged"] == ["by shop"]
    assert await reasons(world, event) == []


async def test_an_alert_that_was_posted_a_moment_ago_can_be_acknowledged(world: World) -> None:
    event = alert(world, phone_of(world), other := phone_of(world))
    await post(world, event)
    assert (await acknowledge(world, event)).status_code == 200
    await world.outcome(event)
    assert await texts(world, other) == []


async def test_what_is_no_alert_cannot_be_acknowledged(world: World) -> None:
    event = world.event()
    await world.post(event)
    assert (await acknowledge(world, event)).status_code == 404


async def test_recovery_stops_the_ladder_and_tells_those_who_were_alerted(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    event = alert(world, first, second, acknowledgeWithinSeconds=60)
    await post(world, event)
    await world.until(event["eventId"], "delivered")
    resolved = await resolve(world, event)
    await world.until(resolved["eventId"], "delivered")
    await world.outcome(event)
    assert (await texts(world, first))[1:] == [f"RESOLVED {event['groupKey']}"]
    assert await texts(world, second) == []
    assert await reasons(world, event) == []
    assert (await acknowledge(world, event)).status_code == 409


async def test_a_recovery_of_nothing_texts_nobody(world: World) -> None:
    event = alert(world)
    resolved = await resolve(world, event)
    assert (await world.until(resolved["eventId"], "suppressed"))["phone"] == "nobody"
    assert (await world.outcome(resolved)).status == "suppressed"


async def test_an_alert_that_was_resolved_before_it_could_be_sent_is_not_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, resolved, admit = alert(world, phone := phone_of(world)), asyncio.Event(), Alerts.admit

    async def late(*arguments: Any) -> Any:
        await resolved.wait()
        return await admit(*arguments)

    monkeypatch.setattr(Alerts, "admit", late)
    await post(world, event)
    recovery = await resolve(world, event)
    await world.until(recovery["eventId"], "suppressed")
    resolved.set()
    story = await world.until(event["eventId"], "suppressed")
    assert story["timeline"][-1]["detail"] == f"folded into {recovery['eventId']}"
    assert await texts(world, phone) == []


async def test_the_first_alert_of_a_storm_goes_at_once_and_the_rest_become_one_digest(world: World) -> None:
    phone = phone_of(world)
    storm = [alert(world, phone, groupKey=f"storm on {phone}", rounds=1) for _ in range(38)]
    await post(world, storm[0])
    await until_texted(world, phone)
    await asyncio.gather(*(post(world, event) for event in storm[1:]))
    for event in storm[1:]:
        await world.until(event["eventId"], lambda story: story["status"] in ("held", "suppressed"))
    assert len(await texts(world, phone)) == 1
    stories = [await world.story(event["eventId"]) for event in storm[1:]]
    (digest,) = [story for story in stories if story["status"] == "held"]
    folded = [story for story in stories if story["status"] == "suppressed"]
    assert {story["timeline"][-1]["detail"] for story in folded} == {f"folded into {digest['eventId']}"}
    await acknowledge(world, storm[0])
    await world.outcome({"eventId": digest["eventId"]})
    assert (await texts(world, phone))[1:] == [
        "CRITICAL checkout-api: and 37 more alerts. Last: 5xx over 5 % for 3 minutes"
    ]


async def test_acknowledging_what_was_folded_acknowledges_its_incident(world: World) -> None:
    phone, other = phone_of(world), phone_of(world)
    first = alert(world, phone, other)
    await post(world, first)
    await until_texted(world, phone)
    second = alert(world, phone, groupKey=first["groupKey"])
    await post(world, second)
    await world.until(second["eventId"], "held")
    assert (await acknowledge(world, second)).status_code == 200
    await world.outcome(first)
    assert await texts(world, other) == []


async def test_a_graver_alert_is_not_folded_into_a_lesser_one(world: World) -> None:
    phone = phone_of(world)
    first = alert(world, phone, severity="low", acknowledgeWithinSeconds=None)
    await post(world, {name: value for name, value in first.items() if value is not None})
    await until_texted(world, phone)
    graver = alert(world, phone, groupKey=first["groupKey"])
    await post(world, graver)
    assert (await until_texted(world, phone, 2))[1].startswith("CRITICAL")
    await acknowledge(world, graver)


async def test_a_digest_whose_incident_was_resolved_is_not_sent(world: World) -> None:
    phone = phone_of(world)
    first, second = alert(world, phone, groupKey="x" + phone), alert(world, phone, groupKey="x" + phone)
    await post(world, first)
    await until_texted(world, phone)
    await post(world, second)
    await world.until(second["eventId"], "held")
    await resolve(world, first)
    await world.until(second["eventId"], "canceled")


async def test_one_phone_gets_no_more_alerts_than_its_caps_allow_and_the_others_climb_on(world: World) -> None:
    """Three incidents at once: two texts to the one on call (RECIPIENT_CAPS=2/1m), the third goes to the next."""
    phone, other = phone_of(world), phone_of(world)
    events = [alert(world, phone, other, acknowledgeWithinSeconds=7200) for _ in range(3)]
    await asyncio.gather(*(post(world, event) for event in events))
    await until_texted(world, other)
    assert (len(await texts(world, phone)), len(await texts(world, other))) == (2, 1)
    stories = [await world.story(event["eventId"]) for event in events]
    details = [entry["detail"] for story in stories for entry in story["timeline"] if entry["what"] == "suppressed"]
    assert details == ["RECIPIENT_CAPS: this phone has had 2/1m already"]
    for event in events:
        await acknowledge(world, event)


async def until_called(world: World, phone: str, seconds: float = 20) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while not (calls := await world.phones.calls(phone)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return calls[0]


async def is_acknowledged(world: World, event: dict[str, Any]) -> str:
    story = await world.until(event["eventId"], lambda story: "acknowledged" in str(story["timeline"]))
    return next(entry["detail"] for entry in story["timeline"] if entry["what"] == "acknowledged")


@pytest.mark.parametrize("reply", ["1", "ACK", " ack ", "1.", "{code}", "ack {code}", "{code}!"])
async def test_a_reply_acknowledges(world: World, reply: str) -> None:
    first, second = phone_of(world), phone_of(world)
    event = alert(world, first, second, acknowledgeWithinSeconds=60)
    await post(world, event)
    await until_texted(world, first)
    answer = await world.phones.reply(first, reply.format(code=code_of(event["eventId"]).lower()))
    assert answer["status"] == 200
    assert "<Message>Acknowledged. Thank you.</Message>" in answer["twiml"]
    assert await is_acknowledged(world, event) == f"reply from ***{first[-4:]}"
    await world.outcome(event)
    assert await texts(world, second) == []


@pytest.mark.parametrize("reply", ["2", "acknowledge this!", "11", "XXXX", "thanks", "", "日本"])
async def test_what_is_no_acknowledgement_is_none_and_gets_no_answer(world: World, reply: str) -> None:
    event = alert(world, phone := phone_of(world), acknowledgeWithinSeconds=60)
    await post(world, event)
    await until_texted(world, phone)
    answer = await world.phones.reply(phone, reply)
    assert (answer["status"], answer["replies"]) == (200, [])
    assert "acknowledged" not in str((await world.story(event["eventId"]))["timeline"])
    await acknowledge(world, event)


async def test_a_code_names_one_of_several_incidents(world: World) -> None:
    phone = phone_of(world)
    events = [alert(world, phone, acknowledgeWithinSeconds=60) for _ in range(2)]
    for number, event in enumerate(events):
        await post(world, event)
        await until_texted(world, phone, number + 1)
    await world.phones.reply(phone, code_of(events[0]["eventId"]))
    await is_acknowledged(world, events[0])
    assert "acknowledged" not in str((await world.story(events[1]["eventId"]))["timeline"])
    await world.phones.reply(phone, "1")  # the latest that is still open
    await is_acknowledged(world, events[1])


async def test_somebody_elses_reply_acknowledges_nothing(world: World) -> None:
    event = alert(world, phone := phone_of(world), acknowledgeWithinSeconds=60)
    await post(world, event)
    await until_texted(world, phone)
    await world.phones.reply(phone_of(world), f"ACK {code_of(event['eventId'])}")
    assert "acknowledged" not in str((await world.story(event["eventId"]))["timeline"])
    await acknowledge(world, event)


async def test_a_call_speaks_the_alert_and_a_key_acknowledges_it(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    await world.phones.behave(first, press="1", pace=20)
    event = alert(world, first, second, channels=["voice"], acknowledgeWithinSeconds=60, locale="de")
    await post(world, event)
    assert await is_acknowledged(world, event) == f"key pressed on ***{first[-4:]}"
    story = await world.until(event["eventId"], "delivered")
    assert story["sid"].startswith("CA")
    (call,) = await world.phones.calls(first)
    assert call["spoken"][0].startswith("Dies ist ein Alarm.")
    assert call["spoken"][-1] == "Danke. Sie haben übernommen."
    await world.outcome(event)
    assert await world.phones.calls(second) == []
    assert (await world.http.get(f"/api/messages/{story['sid']}")).json()["eventId"] == event["eventId"]


@pytest.mark.parametrize("call", ["busy", "no-answer", "failed"])
async def test_who_is_not_reached_by_call_is_not_waited_for(world: World, call: str) -> None:
    first, second = phone_of(world), phone_of(world)
    await world.phones.behave(first, call=call, pace=50)
    event = alert(world, first, second, channels=["voice"], acknowledgeWithinSeconds=7200)
    await post(world, event)
    await until_called(world, second)
    await acknowledge(world, event)


async def test_a_call_that_nobody_acknowledges_climbs_on(world: World) -> None:
    first, second = phone_of(world), phone_of(world)
    await world.phones.behave(first, press="5", pace=20)
    event = alert(world, first, second, channels=["voice"], acknowledgeWithinSeconds=5)
    await post(world, event)
    await until_called(world, second)
    assert (await world.phones.calls(first))[0]["spoken"][-1] == "It was not acknowledged."
    await acknowledge(world, event)


async def test_a_call_whose_answer_was_lost_is_found_and_not_made_again(world: World) -> None:
    phone = phone_of(world)
    await world.phones.behave(phone, create=[{"fault": "reset", "accept": True}], callbacks={"lose": "all"}, pace=20)
    event = alert(world, phone, channels=["voice"], acknowledgeWithinSeconds=60)
    await post(world, event)
    await world.until(event["eventId"], lambda story: story["sid"] is not None if "sid" in story else False)
    await acknowledge(world, event)
    await world.outcome(event)
    assert len(await world.phones.calls(phone)) == 1


async def test_forged_keys_and_replies_get_403(world: World) -> None:
    event = alert(world, phone := phone_of(world), acknowledgeWithinSeconds=60)
    await post(world, event)
    await until_texted(world, phone)
    for path, form in (
        (f"/twilio/key?eventId={event['eventId']}", {"CallSid": "CA" + "0" * 32, "Digits": "1", "To": phone}),
        (f"/twilio/call-status?eventId={event['eventId']}", {"CallSid": "CA" + "0" * 32, "CallStatus": "completed"}),
        ("/twilio/inbound", {"MessageSid": "SM" + "0" * 32, "From": phone, "Body": "1"}),
    ):
        answer = await world.http.post(path, data=form, headers={"X-Twilio-Signature": "forged"})
        assert answer.status_code == 403
    assert "acknowledged" not in str((await world.story(event["eventId"]))["timeline"])
    await acknowledge(world, event)
