"""Keys that are pressed during a call: what is asked, and what the answer does."""

import pytest

from tests.simulator.calling import Calls, asking
from tests.simulator.harness import ACCOUNT, SENDER, Api, Receiver, free_port, genuine, new_number


async def test_a_key_is_posted_signed_to_the_action_whose_twiml_goes_on(
    calls: Calls, receiver: Receiver, number: str
) -> None:
    url = receiver.action("<Say>Thank you</Say><Hangup/>")
    sid = (await calls.accepted(number, Twiml=asking(url)))["sid"]
    assert (await calls.listens(number))["spoken"] == ["Press 1"]
    assert await calls.press(sid, "1") == 204
    record = await calls.reaches(number, "completed")
    (asked,) = receiver.at(url)
    assert asked.form == {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallSid": sid,
        "CallStatus": "in-progress",
        "Called": number,
        "Caller": SENDER,
        "Digits": "1",
        "Direction": "outbound-api",
        "From": SENDER,
        "To": number,
    }
    assert genuine(asked)
    assert (record["spoken"], record["digits"]) == (["Press 1", "Thank you"], "1")
    assert record["actions"] == [{"digits": "1", "url": url, "answers": ["200"]}]


async def test_the_person_presses_by_himself_once_the_words_are_spoken(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, press="1")
    url = receiver.action("<Say>Thank you</Say>")
    await calls.accepted(number, Twiml=asking(url))
    record = await calls.reaches(number, "completed")
    assert (record["spoken"], record["digits"]) == (["Press 1", "Thank you"], "1")


async def test_keys_that_are_left_go_to_the_next_question(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, press="12")
    last = receiver.action("<Say>Done</Say>")
    first = receiver.action(f'<Gather action="{last}" numDigits="1"><Say>Again</Say></Gather>')
    await calls.accepted(number, Twiml=asking(first))
    record = await calls.reaches(number, "completed")
    assert record["spoken"] == ["Press 1", "Again", "Done"]
    assert [action["digits"] for action in record["actions"]] == ["1", "2"]


async def test_input_without_a_number_of_digits_ends_with_the_finishing_key(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, press="42#")
    url = receiver.action("<Say>Thank you</Say>")
    await calls.accepted(number, Twiml=asking(url, numDigits=""))
    await calls.reaches(number, "completed")
    assert [asked.form["Digits"] for asked in receiver.at(url)] == ["42"]


async def test_a_key_cuts_the_prompt_short(calls: Calls, receiver: Receiver, number: str) -> None:
    url = receiver.action("<Say>Thank you</Say>")
    sid = (await calls.accepted(number, Twiml=asking(url, "word " * 500)))["sid"]
    await calls.listens(number)
    assert await calls.press(sid, "1") == 204
    assert (await calls.reaches(number, "completed"))["spoken"][-1] == "Thank you"


async def test_without_a_key_the_call_goes_on_with_the_next_verb(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, pace=100)
    url = receiver.action()
    await calls.accepted(number, Twiml=asking(url))
    record = await calls.reaches(number, "completed")
    assert (record["spoken"], record["digits"], receiver.at(url)) == (["Press 1", "Nothing"], "", [])


async def test_the_action_may_be_asked_without_a_key_and_by_get(
    calls: Calls, simulator: Api, receiver: Receiver, number: str
) -> None:
    await simulator.scenario(number, pace=100)
    url = receiver.action("<Say>No key</Say>")
    await calls.accepted(number, Twiml=asking(url, actionOnEmptyResult="true", method="GET"))
    assert (await calls.reaches(number, "completed"))["spoken"] == ["Press 1", "No key"]
    (asked,) = receiver.at(url)
    assert asked.url.endswith("&Digits=")
    assert genuine(asked)


async def test_a_key_that_nobody_waits_for_is_a_conflict(calls: Calls, receiver: Receiver, number: str) -> None:
    sid = (await calls.accepted(number))["sid"]
    assert await calls.press(sid, "1") == 409
    await calls.reaches(number, "completed")
    assert await calls.press(sid, "1") == 409
    assert await calls.press(sid, "one") == 422


@pytest.mark.parametrize("action", ["", "/relative", "ftp://example.com/x", "http://[bad/x"])
async def test_an_action_that_cannot_be_asked_is_a_warning(
    calls: Calls, simulator: Api, number: str, action: str
) -> None:
    await simulator.scenario(number, press="1")
    await calls.accepted(number, Twiml=asking(action))
    record = await calls.reaches(number, "completed")
    assert record["spoken"] == ["Press 1", "Nothing"]
    assert [warning[:5] for warning in record["warnings"]] == ["13330"]


async def test_an_action_that_fails_ends_the_call_with_an_apology(
    calls: Calls, simulator: Api, receiver: Receiver
) -> None:
    gone = f"http://127.0.0.1:{free_port()}/gone"
    for url, warning, answers in [
        (receiver.address(500), "11200", ["500"]),
        (receiver.address(204), "12300", ["204"]),
        (gone, "11200", ["ct", "ct"]),
    ]:
        to = new_number()
        await simulator.scenario(to, press="1")
        await calls.accepted(to, Twiml=asking(url))
        record = await calls.reaches(to, "completed")
        assert record["spoken"][1].startswith("We are sorry")
        assert record["warnings"][0].startswith(warning)
        assert record["actions"][0]["answers"] == answers
