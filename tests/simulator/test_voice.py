"""A call on its way: what is spoken and called back."""

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.simulator.calling import Calls, asking
from tests.simulator.harness import ACCOUNT, SENDER, Api, Receiver, genuine, until

ALL = ["initiated", "ringing", "answered", "completed"]


def statuses(receiver: Receiver, url: str) -> list[str]:
    return [call.form["CallStatus"] for call in receiver.at(url)]


# Status callbacks


async def test_only_the_end_is_called_back_unless_more_is_asked_for(
    calls: Calls, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    sid = (await calls.accepted(number, StatusCallback=url))["sid"]
    (ended,) = await receiver.gets(url, 1)
    moment = ended.form.pop("Timestamp")
    assert moment.endswith("+0000")
    assert parsedate_to_datetime(moment)
    assert ended.form == {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallDuration": "1",
        "CallSid": sid,
        "CallStatus": "completed",
        "CallbackSource": "call-progress-events",
        "Called": number,
        "Caller": SENDER,
        "Direction": "outbound-api",
        "Duration": "1",
        "From": SENDER,
        "SequenceNumber": "0",
        "SipResponseCode": "200",
        "To": number,
    }
    await asyncio.sleep(0.1)
    assert len(receiver.at(url)) == 1


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (ALL, ["initiated", "ringing", "in-progress", "completed"]),
        (["answered"], ["in-progress"]),
        (["initiated", "completed"], ["initiated", "completed"]),
    ],
    ids=str,
)
async def test_the_events_that_are_asked_for_are_called_back_signed_and_numbered(
    calls: Calls, receiver: Receiver, number: str, events: list[str], told: list[str]
) -> None:
    url = receiver.address()
    await calls.accepted(number, StatusCallback=url, StatusCallbackEvent=events)
    await calls.reaches(number, "completed")
    received = await receiver.gets(url, len(told))
    assert statuses(receiver, url) == told
    assert [call.form["SequenceNumber"] for call in received] == [str(place) for place in range(len(told))]
    assert all(genuine(call) for call in received)
    assert all(("CallDuration" in call.form) == (call.form["CallStatus"] == "completed") for call in received)


async def test_a_callback_by_get_carries_all_in_its_query(calls: Calls, receiver: Receiver, number: str) -> None:
    url = receiver.address() + "?event=1"
    await calls.accepted(number, StatusCallback=url, StatusCallbackMethod="GET")
    (ended,) = await receiver.gets(url, 1)
    assert ended.form == {}
    assert "?event=1&" in ended.url
    assert "CallStatus=completed" in ended.url
    assert genuine(ended)


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"call": "busy"}, ["initiated", "busy"]),
        ({"call": "failed"}, ["initiated", "failed"]),
        ({"call": "no-answer"}, ["initiated", "ringing", "no-answer"]),
    ],
    ids=str,
)
async def test_a_call_that_is_not_answered_says_how(
    calls: Calls, simulator: Api, receiver: Receiver, number: str, knobs: dict[str, Any], told: list[str]
) -> None:
    url = receiver.address()
    await simulator.scenario(number, **knobs)
    sid = (await calls.accepted(number, StatusCallback=url, StatusCallbackEvent=ALL))["sid"]
    *_, last = await receiver.gets(url, len(told))
    assert statuses(receiver, url) == told
    assert (last.form["CallDuration"], last.form["Duration"]) == ("0", "0")
    resource = (await calls.fetch(sid)).json()
    assert [resource[name] for name in ("status", "duration", "end_time", "price")] == [told[-1], None, None, None]
    assert (await calls.records(number))[0]["spoken"] == []


async def test_a_phone_rings_no_longer_than_the_timeout(calls: Calls, simulator: Api, number: str) -> None:
    await simulator.scenario(number, finalAfter=30, pace=20)
    await calls.accepted(number, Timeout="2")
    await calls.reaches(number, "no-answer")


# TwiML


async def test_what_is_said_is_kept_in_order(calls: Calls, number: str) -> None:
    said = '<Say voice="alice">One\n  <emphasis>two</emphasis> &amp; three</Say><Say loop="2">Four</Say>'
    await calls.accepted(number, Twiml=f'<Response>{said}<Pause length="0"/><Hangup/><Say>Never</Say></Response>')
    record = await calls.reaches(number, "completed")
    assert (record["spoken"], record["warnings"]) == (["One two & three", "Four", "Four"], [])


async def test_an_unknown_verb_is_passed_over_with_a_warning(calls: Calls, number: str) -> None:
    await calls.accepted(number, Twiml="<Response><Dial>+12025550100</Dial><Say>Hello</Say></Response>")
    record = await calls.reaches(number, "completed")
    assert (record["spoken"], record["warnings"]) == (["Hello"], ["<Dial> is not simulated"])


@pytest.mark.parametrize(
    ("twiml", "code"), [("Hello", "12100"), ("<Response>", "12100"), ("<Say>Hi</Say>", "12102")], ids=str
)
async def test_what_is_no_twiml_is_apologised_for(calls: Calls, number: str, twiml: str, code: str) -> None:
    await calls.accepted(number, Twiml=twiml)
    record = await calls.reaches(number, "completed")
    assert record["spoken"] == ["We are sorry, an application error has occurred. Goodbye."]
    assert [warning[:5] for warning in record["warnings"]] == [code]


async def test_a_page_sees_a_call_as_it_happens(calls: Calls, simulator: Api, receiver: Receiver, number: str) -> None:
    async with simulator.http.stream("GET", "/simulator/events") as events:
        lines = events.aiter_lines()
        await anext(lines)  # the stream is open
        await calls.accepted(number, Twiml=asking(receiver.action()))
        seen: list[str] = []
        async for line in lines:
            if line.startswith("data: ") and number in line:
                event = json.loads(line.removeprefix("data: "))
                assert event["type"] == "call"
                seen.append(event["call"]["status"])
                if event["call"]["listening"]:
                    break
    assert list(dict.fromkeys(seen)) == ["queued", "ringing", "in-progress"]


# Knobs of callbacks


async def test_callbacks_of_calls_can_be_lost_repeated_and_badly_signed(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"lose": ["ringing"], "repeat": 2, "badSignature": True})
    await calls.accepted(number, StatusCallback=url, StatusCallbackEvent=["ringing", "completed"])
    received = await receiver.gets(url, 2)
    assert statuses(receiver, url) == ["completed", "completed"]
    assert not any(genuine(call) for call in received)

    async def kept() -> bool:
        (record,) = await calls.records(number)
        told = [(one["status"], one["lost"], one["answers"]) for one in record["callbacks"]]
        return told == [("ringing", True, []), ("completed", False, ["204", "204"])]

    await until(kept)


async def test_a_delayed_callback_comes_after_the_end(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"delay": 0.3})
    await calls.accepted(number, StatusCallback=url)
    await calls.reaches(number, "completed")
    assert receiver.at(url) == []
    await receiver.gets(url, 1)
