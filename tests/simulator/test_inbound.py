"""Texts that a person sends: the webhook, its TwiML, the keywords, and what is kept."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException

from tests.simulator.harness import (
    ACCOUNT,
    MESSAGES,
    SENDER,
    SERVICE,
    Api,
    Call,
    Process,
    Receiver,
    free_port,
    genuine,
    official,
    until,
)


class Person:
    """Who writes from a number, and what the application hears of it."""

    def __init__(self, api: Api, receiver: Receiver, webhook: str, number: str) -> None:
        self.api, self.receiver, self.webhook, self.number = api, receiver, webhook, number

    async def post(self, body: str, **fields: str) -> httpx.Response:
        return await self.api.http.post(f"/simulator/phones/{self.number}/reply", json={"body": body, **fields})

    async def writes(self, body: str, answer: str | int = 204) -> dict[str, Any]:
        """What became of it, where the application answers so: with TwiML inside `<Response>`, or a status."""
        path = httpx.URL(self.webhook).path
        if isinstance(answer, str):
            self.receiver.documents[path] = [f"<Response>{answer}</Response>"]
        else:
            self.receiver.answers[path] = [answer]
        told = await self.post(body)
        assert told.status_code == 200, told.text
        return dict(told.json())

    def heard(self) -> list[Call]:
        return [call for call in self.receiver.at(self.webhook) if call.form["From"] == self.number]

    async def reads(self) -> list[str]:
        """The texts on the phone."""
        return [record["body"] for record in await self.api.records(self.number)]


@pytest.fixture(scope="module")
async def webhook(receiver: Receiver) -> str:
    return receiver.address()


@pytest.fixture(scope="module")
async def answering(tmp_path_factory: pytest.TempPathFactory, webhook: str) -> AsyncIterator[Api]:
    """A simulator whose senders have a webhook."""
    folder = tmp_path_factory.mktemp("inbound")
    process = Process(folder, inbound=webhook, database=folder / "simulator.db")
    await process.start()
    api = Api(process.url)
    await api.http.put("/simulator/defaults", json={"sentAfter": 0.02, "finalAfter": 0.06})
    yield api
    await api.http.aclose()
    await process.stop()


@pytest.fixture
def person(answering: Api, receiver: Receiver, webhook: str, number: str) -> Person:
    return Person(answering, receiver, webhook, number)


async def test_a_reply_is_posted_signed_with_the_documented_parameters(person: Person) -> None:
    await person.api.accepted(person.number)
    told = await person.writes("ACK ✓")
    (heard,) = person.heard()
    assert heard.form == {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Body": "ACK ✓",
        "From": person.number,
        "FromCity": "",
        "FromCountry": "US",
        "FromState": "",
        "FromZip": "",
        "MessageSid": told["sid"],
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsMessageSid": told["sid"],
        "SmsSid": told["sid"],
        "SmsStatus": "received",
        "To": SENDER,
        "ToCity": "",
        "ToCountry": "US",
        "ToState": "",
        "ToZip": "",
    }
    assert genuine(heard)
    assert (told["status"], told["twiml"], told["replies"], told["warning"]) == (204, "", [], None)


async def test_a_reply_to_a_service_names_it(person: Person) -> None:
    await person.api.accepted(person.number, From="", MessagingServiceSid=SERVICE)
    await person.writes("ACK")
    assert person.heard()[0].form["MessagingServiceSid"] == SERVICE


async def test_the_twiml_of_the_webhook_becomes_texts_on_the_phone(person: Person) -> None:
    told = await person.writes("ACK", "<Message>Thank you</Message><Message><Body>Bye &amp; out</Body></Message>")
    assert told["twiml"].startswith("<Response><Message>Thank you")
    assert await person.reads() == ["Thank you", "Bye & out"]
    resource = await person.api.reaches(told["replies"][0], "delivered")
    assert (resource["direction"], resource["from"], resource["to"]) == ("outbound-reply", SENDER, person.number)


@pytest.mark.parametrize("answer", ["", 204, "<Redirect>/x</Redirect>"], ids=str)
async def test_an_answer_without_a_message_sends_none(person: Person, answer: str | int) -> None:
    told = await person.writes("ACK", answer)
    assert (told["replies"], told["warning"], await person.reads()) == ([], None, [])


@pytest.mark.parametrize(
    ("answer", "warning"), [(500, "11200"), (403, "11200"), ("<Message>", "12100")], ids=["500", "403", "no XML"]
)
async def test_an_answer_that_is_no_twiml_sends_nothing_and_warns(
    person: Person, answer: str | int, warning: str
) -> None:
    told = await person.writes("ACK", answer)
    assert told["warning"].startswith(warning)
    assert await person.reads() == []
    assert [record["callbacks"][0]["answers"] for record in await inbound(person)] == [[str(told["status"])]]


async def inbound(person: Person) -> list[dict[str, Any]]:
    records = (await person.api.http.get("/simulator/inbound")).json()
    return [record for record in records if record["from"] == person.number]


async def test_incoming_texts_are_kept_apart_and_are_in_twilios_list(person: Person) -> None:
    outgoing = (await person.api.accepted(person.number))["sid"]
    incoming = (await person.writes("ACK"))["sid"]
    (record,) = await inbound(person)
    assert [record[name] for name in ("sid", "body", "to", "direction")] == [incoming, "ACK", SENDER, "inbound"]
    assert [one["sid"] for one in await person.api.records(person.number)] == [outgoing]
    library = official(person.api.url)
    rows = await asyncio.to_thread(library.messages.list, from_=person.number)
    assert [(row.sid, row.direction, row.status) for row in rows] == [(incoming, "inbound", "received")]
    fetched = await asyncio.to_thread(library.messages(incoming).fetch)
    assert (fetched.body, fetched.num_segments, fetched.date_sent is not None) == ("ACK", "1", True)


# Keywords


@pytest.mark.parametrize("word", ["STOP", "stopall", " Unsubscribe ", "CANCEL", "end", "quit", "revoke", "OptOut"])
async def test_a_stop_word_opts_out_and_only_twilio_answers(person: Person, word: str) -> None:
    told = await person.writes(word, "<Message>Ours</Message>")
    assert len(told["replies"]) == 1
    assert len(person.heard()) == 1, "the webhook hears of it all the same"
    (read,) = await person.reads()
    assert read.startswith("You have successfully been unsubscribed.")
    library = official(person.api.url)
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(library.messages.create, to=person.number, from_=SENDER, body="Hello")
    assert (caught.value.code, caught.value.status) == (21610, 400)


async def test_start_opts_in_again(person: Person) -> None:
    await person.writes("STOP")
    await person.writes("start", "<Message>Ours</Message>")
    assert "re-subscribed" in (await person.reads())[-1]
    await person.api.accepted(person.number)


async def test_help_is_answered_by_twilio(person: Person) -> None:
    await person.writes("INFO", "<Message>Ours</Message>")
    (read,) = await person.reads()
    assert read.startswith("Reply STOP to unsubscribe.")
    await person.api.accepted(person.number)


async def test_a_keyword_in_a_sentence_is_none(person: Person) -> None:
    await person.writes("please stop", "<Message>As you wish</Message>")
    assert await person.reads() == ["As you wish"]
    await person.api.accepted(person.number)


async def test_who_refuses_a_service_gets_nothing_from_its_numbers_either(person: Person) -> None:
    await person.api.accepted(person.number, From="", MessagingServiceSid=SERVICE)
    await person.writes("STOP")
    for sender in ({"From": "", "MessagingServiceSid": SERVICE}, {"From": SENDER}):
        assert (await person.api.create(person.number, **sender)).json()["code"] == 21610


async def test_a_refusal_stands_before_the_faults_and_blocks_our_answers(person: Person) -> None:
    await person.writes("STOP")
    await person.api.scenario(person.number, create=[{"fault": "500", "accept": True}])
    assert (await person.api.create(person.number)).json()["code"] == 21610
    told = await person.writes("hello", "<Message>Ours</Message>")
    assert (told["replies"], told["warning"][:5]) == ([], "21610")


# The rest


async def test_a_phone_that_was_never_texted_writes_to_our_first_number_or_the_one_it_names(person: Person) -> None:
    await person.post("ACK")
    await person.post("ACK", to="+12025550000")
    assert [heard.form["To"] for heard in person.heard()] == [SENDER, "+12025550000"]


async def test_nonsense_is_refused(person: Person) -> None:
    assert (await person.post("x" * 1601)).status_code == 422
    assert (await person.api.http.post("/simulator/phones/me/reply", json={"body": "x"})).status_code == 422
    assert (await person.api.http.post(f"/simulator/phones/{person.number}/reply", json={})).status_code == 422


async def test_the_signature_can_be_bad(person: Person) -> None:
    await person.api.scenario(person.number, callbacks={"badSignature": True})
    await person.writes("ACK")
    assert not genuine(person.heard()[0])


async def test_without_a_webhook_the_text_is_kept(simulator: Api, number: str) -> None:
    told = (await simulator.http.post(f"/simulator/phones/{number}/reply", json={"body": "ACK"})).json()
    assert (told["status"], told["answers"], told["twiml"]) == (None, [], "")
    records = (await simulator.http.get("/simulator/inbound")).json()
    assert [record["body"] for record in records if record["from"] == number] == ["ACK"]


async def test_a_page_sees_what_a_person_writes(person: Person) -> None:
    async with person.api.http.stream("GET", "/simulator/events") as events:
        lines = events.aiter_lines()
        await anext(lines)  # the stream is open
        await person.writes("ACK")
        async for line in lines:
            if line.startswith("data: ") and person.number in line:
                event = json.loads(line.removeprefix("data: "))
                break
    assert (event["type"], event["message"]["body"], event["message"]["from"]) == ("inbound", "ACK", person.number)


async def test_refusals_and_incoming_texts_survive_kill_9(tmp_path: Path, number: str) -> None:
    process = Process(tmp_path, inbound=f"http://127.0.0.1:{free_port()}/gone", database=tmp_path / "kept.db")
    await process.start()
    api = Api(process.url)
    told = (await api.http.post(f"/simulator/phones/{number}/reply", json={"body": "STOP"})).json()
    assert (told["answers"], told["status"]) == (["ct", "ct"], None)
    await process.stop(signal.SIGKILL)
    await process.start()
    assert (await api.create(number)).json()["code"] == 21610
    (record,) = (await api.http.get("/simulator/inbound")).json()
    assert (record["sid"], record["status"]) == (told["sid"], "received")

    async def answered() -> bool:
        rows = (await api.http.get(MESSAGES, params={"To": number})).json()["messages"]
        return [row["status"] for row in rows] == ["delivered"]

    await until(answered)
    await api.http.post("/simulator/reset")
    assert (await api.http.get("/simulator/inbound")).json() == []
    await api.accepted(number)
    await api.http.aclose()
    await process.stop()
    assert process.output() == ""
