"""A text on its way: statuses, callbacks, signatures and their repetition."""

import asyncio
import re

import httpx
import pytest

from simulator.callbacks import Overrides, signature
from tests.simulator.harness import ACCOUNT, SENDER, SERVICE, Api, Call, Receiver, free_port, genuine, until


async def test_a_text_from_a_number_has_no_callback_for_queued(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await simulator.answered(number, 2)
    assert receiver.statuses(url) == ["sent", "delivered"]
    resource = (await simulator.fetch(sid)).json()
    assert (resource["status"], resource["error_code"], resource["price"]) == ("delivered", None, "-0.00750")
    assert resource["date_sent"]


async def test_a_text_from_a_service_has_a_callback_for_queued(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    created = await simulator.accepted(number, StatusCallback=url, From="", MessagingServiceSid=SERVICE)
    assert created["status"] == "accepted"
    await simulator.answered(number, 3)
    assert receiver.statuses(url) == ["queued", "sent", "delivered"]
    assert {call.form["MessagingServiceSid"] for call in receiver.at(url)} == {SERVICE}


async def test_a_callback_has_the_documented_parameters_and_headers(
    simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    sent, delivered = await receiver.gets(url, 2)
    expected = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": SENDER,
        "MessageSid": sid,
        "MessageStatus": "sent",
        "SmsSid": sid,
        "SmsStatus": "sent",
        "To": number,
    }
    assert sent.form == expected
    date = delivered.form.pop("RawDlrDoneDate")
    assert delivered.form == expected | {"MessageStatus": "delivered", "SmsStatus": "delivered"}
    assert re.fullmatch(r"\d{10}", date)
    assert sent.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert sent.headers["I-Twilio-Idempotency-Token"] != delivered.headers["I-Twilio-Idempotency-Token"]


@pytest.mark.parametrize(
    ("knobs", "statuses", "code"),
    [
        ({"outcome": "undelivered"}, ["sent", "undelivered"], 30003),
        ({"outcome": "undelivered", "errorCode": 30005}, ["sent", "undelivered"], 30005),
        ({"outcome": "failed"}, ["failed"], 30008),
        ({"outcome": "failed", "errorCode": 30034}, ["failed"], 30034),
    ],
)
async def test_a_text_that_does_not_arrive_ends_with_an_error_code(
    simulator: Api, receiver: Receiver, number: str, knobs: dict[str, object], statuses: list[str], code: int
) -> None:
    url = receiver.address()
    await simulator.scenario(number, **knobs)
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await simulator.answered(number, len(statuses))
    assert receiver.statuses(url) == statuses
    assert receiver.at(url)[-1].form["ErrorCode"] == str(code)
    resource = (await simulator.fetch(sid)).json()
    assert (resource["status"], resource["error_code"]) == (statuses[-1], code)
    assert (resource["price"] is None) == (statuses[-1] == "failed"), "a text that failed costs nothing"


@pytest.mark.parametrize(("outcome", "statuses"), [("sent", ["sent"]), ("queued", [])])
async def test_a_text_may_stay_where_it_is_for_ever(
    simulator: Api, receiver: Receiver, number: str, outcome: str, statuses: list[str]
) -> None:
    url = receiver.address()
    await simulator.scenario(number, outcome=outcome)
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await asyncio.sleep(0.2)
    assert receiver.statuses(url) == statuses
    assert (await simulator.fetch(sid)).json()["status"] == outcome


async def test_a_number_that_refuses_is_answered_at_once(simulator: Api, number: str) -> None:
    await simulator.scenario(number, outcome="refused", errorCode=21610)
    answer = await simulator.create(number)
    assert (answer.status_code, answer.json()["code"]) == (400, 21610)
    assert await simulator.records(number) == []


async def test_a_text_taken_in_silence_for_a_number_that_refuses_fails_later(simulator: Api, number: str) -> None:
    step = {"fault": "500", "accept": True}
    await simulator.scenario(number, outcome="refused", errorCode=21610, create=[step])
    assert (await simulator.create(number)).status_code == 500
    (record,) = await simulator.records(number)
    assert (await simulator.reaches(record["sid"], "failed"))["error_code"] == 21610


async def test_a_status_set_by_hand_is_called_back_and_is_not_overtaken_by_the_scenario(
    simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    await simulator.scenario(number, outcome="failed", sentAfter=0.2)
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    path = f"/simulator/messages/{sid}/callback"
    moved = await simulator.http.post(path, json={"status": "undelivered", "errorCode": 30007})
    assert moved.status_code == 204
    (call,) = await receiver.gets(url, 1)
    assert (call.form["MessageStatus"], call.form["ErrorCode"]) == ("undelivered", "30007")
    await asyncio.sleep(0.4)
    assert receiver.statuses(url) == ["undelivered"]
    assert (await simulator.http.post("/simulator/messages/SM0/callback", json={"status": "sent"})).status_code == 404


async def test_no_callback_is_made_for_a_text_without_an_address(simulator: Api, number: str) -> None:
    await simulator.reaches((await simulator.accepted(number))["sid"], "delivered")
    (record,) = await simulator.records(number)
    assert record["callbacks"] == []


# Signatures


def test_the_signature_is_the_one_that_twilio_published() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    published = "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert signature("12345", "https://example.com/myapp.php?foo=1&bar=2", form) == published
    assert signature("12345", "https://u:p@example.com/myapp.php?foo=1&bar=2#rc=5&rp=all", form) == published


@pytest.mark.parametrize("query", ["", "?n=ntf_0-1&t=a%2fb%2Fc", "?a=b+c%20d&e=%7E&f=%C3%A9&g", "?x=%26%3D%25"])
async def test_twilios_validator_accepts_every_callback_over_the_address_as_given(
    simulator: Api, receiver: Receiver, number: str, query: str
) -> None:
    url = receiver.address() + query
    await simulator.accepted(number, StatusCallback=url + "#rc=2&rp=all")
    for call in await receiver.gets(url, 2):
        assert call.url == url
        assert genuine(call)
        assert not genuine(Call(call.url, call.form | {"MessageStatus": "read"}, call.headers, call.at))


async def test_credentials_in_the_address_are_not_signed(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    await simulator.accepted(number, StatusCallback=url.replace("http://", "http://user:secret@"))
    assert all(genuine(call, url) for call in await receiver.gets(url, 2))


async def test_a_bad_signature_is_one_that_twilios_validator_rejects(
    simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"badSignature": True})
    await simulator.accepted(number, StatusCallback=url)
    assert not any(genuine(call) for call in await receiver.gets(url, 2))


# Knobs of the callbacks


@pytest.mark.parametrize(
    ("lose", "arrive", "lost"),
    [("all", [], ["sent", "delivered"]), (["sent"], ["delivered"], ["sent"]), (["delivered"], ["sent"], ["delivered"])],
)
async def test_callbacks_can_be_lost(
    simulator: Api, receiver: Receiver, number: str, lose: object, arrive: list[str], lost: list[str]
) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"lose": lose})
    await simulator.accepted(number, StatusCallback=url)
    callbacks = await simulator.answered(number, 2)
    assert receiver.statuses(url) == arrive
    assert [one["status"] for one in callbacks if one["lost"]] == lost


async def test_callbacks_can_come_repeatedly(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"repeat": 3})
    await simulator.accepted(number, StatusCallback=url)
    await receiver.gets(url, 6)

    async def all_answered() -> bool:
        callbacks = await simulator.answered(number, 2)
        return [one["answers"] for one in callbacks] == [["204"] * 3] * 2

    await until(all_answered)
    assert sorted(receiver.statuses(url)) == ["delivered"] * 3 + ["sent"] * 3


@pytest.mark.parametrize("final_after", [0.06, 0.5])
async def test_the_final_callback_can_overtake_the_others(
    simulator: Api, receiver: Receiver, number: str, final_after: float
) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"reorder": True}, finalAfter=final_after)
    await simulator.accepted(number, StatusCallback=url)
    await receiver.gets(url, 2)
    assert receiver.statuses(url) == ["delivered", "sent"]


async def test_callbacks_can_come_before_the_answer(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"early": True})
    created = await simulator.accepted(number, StatusCallback=url)
    assert receiver.statuses(url) == ["sent", "delivered"]
    assert created["status"] == "queued", "the answer shows the status at creation"


async def test_an_early_text_does_not_wait_for_the_texts_of_others(
    simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, callbacks={"early": True}, finalAfter=0.3)
    slow = "+4915112345678"
    await simulator.scenario(slow, finalAfter=60)
    early = asyncio.create_task(simulator.accepted(number))
    await asyncio.sleep(0.1)
    await simulator.accepted(slow)
    await asyncio.wait_for(early, 3)


async def test_callbacks_can_come_late(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"delay": 0.3})
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await simulator.reaches(sid, "delivered")
    assert receiver.at(url) == []
    await receiver.gets(url, 2)


async def test_a_final_status_can_be_contradicted(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    await simulator.scenario(number, callbacks={"contradict": "undelivered", "contradictAfter": 0.1})
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await receiver.gets(url, 3)
    assert receiver.statuses(url) == ["sent", "delivered", "undelivered"]
    assert (await simulator.fetch(sid)).json()["status"] == "delivered"


# Repetition (connection overrides)


@pytest.mark.parametrize(
    ("fragment", "plan", "answers"),
    [
        ("", [503], ["503"]),
        ("", [404], ["404"]),
        ("#rc=5", [503], ["503"]),
        ("#rc=3&rp=5xx", [503, 500, 204], ["503", "500", "204"]),
        ("#rc=1&rp=5xx", [503, 503, 204], ["503", "503"]),
        ("#rc=2&rp=5xx", [404], ["404"]),
        ("#rc=2&rp=4xx", [403, 204], ["403", "204"]),
        ("#rc=1&rp=ct,rt&rt=150", [1.0, 204], ["rt", "204"]),
        ("#rt=150", [1.0], ["rt"]),
        ("#rc=5&rp=all&tt=400", [500] * 6, ["500", "500", "tt"]),
        ("#rc=0&rp=all", [500], ["500"]),
        ("#rp=all", [302], ["302"]),
    ],
    ids=str,
)
async def test_callbacks_are_repeated_as_the_fragment_says(
    simulator: Api, receiver: Receiver, number: str, fragment: str, plan: list[int | float], answers: list[str]
) -> None:
    url = receiver.address(*plan)
    await simulator.scenario(number, callbacks={"lose": ["sent"]})
    await simulator.accepted(number, StatusCallback=url + fragment)
    _, final = await simulator.answered(number, 2)
    assert final["answers"] == answers
    calls = receiver.at(url)
    assert len(calls) == len([one for one in answers if one != "tt"])
    assert len({call.headers["I-Twilio-Idempotency-Token"] for call in calls}) == 1, "repeats can be recognised"
    assert len({call.headers["X-Twilio-Signature"] for call in calls}) == 1


@pytest.mark.parametrize(("fragment", "answers"), [("", ["ct", "ct"]), ("#rc=0", ["ct"]), ("#rp=5xx", ["ct"])])
async def test_only_a_connection_that_cannot_be_made_is_tried_twice_by_default(
    simulator: Api, number: str, fragment: str, answers: list[str]
) -> None:
    await simulator.scenario(number, callbacks={"lose": ["sent"]})
    await simulator.accepted(number, StatusCallback=f"http://127.0.0.1:{free_port()}/gone{fragment}")
    _, final = await simulator.answered(number, 2)
    assert final["answers"] == answers


def test_overrides_have_twilios_defaults_and_bounds() -> None:
    assert Overrides.of("https://h/p") == Overrides(5.0, 15.0, 15.0, 1, frozenset({"ct"}))
    most = Overrides.of("https://h/p#ct=99999&rt=99999&tt=99999&rc=99&rp=4xx,5xx")
    assert most == Overrides(10.0, 15.0, 15.0, 5, frozenset({"4xx", "5xx"}))
    assert Overrides.of("https://h/p#ct=1&rt=1&tt=1&rc=0&rp=all") == Overrides(0.1, 0.1, 0.1, 0, frozenset({"all"}))
    assert Overrides.of("https://h/p#ct=soon&rc=-1&sni=y&e=dublin") == Overrides()


async def test_a_page_sees_what_happens_as_it_happens(simulator: Api, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    async with simulator.http.stream("GET", "/simulator/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.aiter_lines()
        await anext(lines)  # the stream is open
        await simulator.accepted(number, StatusCallback=url)
        seen: list[dict[str, object]] = []
        async for line in lines:
            if line.startswith("data: ") and number in line:
                event = httpx.Response(200, text=line.removeprefix("data: ")).json()
                assert event["type"] == "message"
                seen.append(event["message"])
                if [one["answers"] for one in event["message"]["callbacks"]] == [["204"], ["204"]]:
                    break
    assert seen[0]["status"] == "queued"
    assert seen[-1]["status"] == "delivered"
