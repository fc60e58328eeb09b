"""Creating a message: what is answered, to whom, and what is refused."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from tests.simulator.conftest import API_KEY, SECONDARY_TOKEN, TEST_ACCOUNT
from tests.simulator.harness import (
    ACCOUNT,
    MESSAGES,
    SENDER,
    SERVICE,
    TOKEN,
    Api,
    Process,
    Receiver,
    browser,
    new_number,
)

FIELDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("message_fields.json").read_text())["fields"]
SORTS = {str: "string", int: "integer", dict: "object", type(None): "null", float: "number", bool: "boolean"}


def in_time(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assert_error(answer: httpx.Response, code: int, status: int) -> None:
    """Twilio's error body, no more and no less."""
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert body["message"]
    assert "{" not in body["message"]
    assert set(body) - {"detail"} == {"code", "message", "more_info", "status"}
    assert ("detail" in body) == (code == 20003)
    assert answer.headers["content-type"] == "application/json"


async def test_the_answer_has_exactly_the_published_fields_with_their_types(simulator: Api, number: str) -> None:
    created = await simulator.create(number, Body="hi & 50% 👍")
    assert created.status_code == 201
    fetched = await simulator.reaches(created.json()["sid"], "delivered")
    for resource in (created.json(), fetched):
        assert set(resource) == set(FIELDS)
        for name, value in resource.items():
            assert SORTS[type(value)] in FIELDS[name], name
    assert re.fullmatch(r"SM[0-9a-f]{32}", created.json()["sid"])


async def test_a_text_from_a_number_is_queued_and_not_yet_sent_or_priced(simulator: Api, number: str) -> None:
    answer = await simulator.create(number, Body="hi & 50% 👍")
    resource = answer.json()
    sid = resource["sid"]
    created = parsedate_to_datetime(resource["date_created"])
    assert abs((datetime.now(UTC) - created).total_seconds()) < 3
    assert resource["date_created"].endswith("+0000")
    assert resource == {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": "hi & 50% 👍",
        "date_created": resource["date_created"],
        "date_sent": None,
        "date_updated": resource["date_created"],
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": SENDER,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media.json"},
        "to": number,
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
    }
    assert re.fullmatch(r"RQ[0-9a-f]{32}", answer.headers["Twilio-Request-Id"])
    assert answer.headers["Twilio-Concurrent-Requests"].isdigit()


async def test_a_text_from_a_service_is_accepted_without_sender_or_segments(simulator: Api) -> None:
    resource = await simulator.accepted(From="", MessagingServiceSid=SERVICE)
    assert (resource["status"], resource["from"], resource["num_segments"]) == ("accepted", None, "0")
    assert resource["messaging_service_sid"] == SERVICE
    later = await simulator.reaches(resource["sid"], "delivered")
    assert (later["from"], later["num_segments"]) == (SENDER, "1")


def test_the_fields_are_those_that_the_official_message_reads(library: Client) -> None:
    class Spy(dict[str, Any]):
        read: set[str]

        def get(self, name: str, default: Any = None) -> Any:
            self.read.add(name)
            return super().get(name, default)

    spy = Spy()
    spy.read = set()
    MessageInstance(library.api.v2010, spy, account_sid=ACCOUNT)
    assert spy.read == set(FIELDS)


async def test_the_official_library_creates_and_fetches(simulator: Api, library: Client, number: str) -> None:
    message = await asyncio.to_thread(library.messages.create, to=number, from_=SENDER, body="Hello")
    assert (message.status, message.to, message.from_) == ("queued", number, SENDER)
    assert isinstance(message.date_created, datetime)
    await simulator.reaches(message.sid, "delivered")
    fetched = await asyncio.to_thread(library.messages(message.sid).fetch)
    assert (fetched.status, fetched.price, fetched.error_code) == ("delivered", "-0.00750", None)
    assert isinstance(fetched.date_sent, datetime)


async def test_the_official_library_raises_the_code_of_a_refusal(library: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(library.messages.create, to="nonsense", from_=SENDER, body="Hello")
    assert (caught.value.code, caught.value.status) == (21211, 400)


@pytest.mark.parametrize(
    "authorization",
    [None, httpx.BasicAuth(ACCOUNT, "wrong"), httpx.BasicAuth("AC" + "0" * 32, TOKEN), httpx.BasicAuth("", "")],
    ids=["none", "wrong token", "unknown account", "empty"],
)
async def test_wrong_credentials_are_answered_with_401(simulator: Api, authorization: httpx.Auth | None) -> None:
    async with browser(simulator.url, authorization) as client:
        answer = await client.post(MESSAGES, data={"To": new_number(), "From": SENDER, "Body": "x"})
    assert_error(answer, 20003, 401)
    assert answer.json()["message"] == "Authenticate"
    assert answer.json()["detail"] == "Your AccountSid or AuthToken was incorrect."


@pytest.mark.parametrize("header", ["Bearer abc", "Basic %%%", "Basic /w==", "nonsense"])
async def test_an_unreadable_authorization_is_answered_with_401(simulator: Api, header: str) -> None:
    async with browser(simulator.url) as client:
        assert_error(await client.get(MESSAGES, headers={"Authorization": header}), 20003, 401)


async def test_a_foreign_account_in_the_path_is_not_found(simulator: Api) -> None:
    path = MESSAGES.replace(ACCOUNT, "AC" + "f" * 32)
    answer = await simulator.http.post(path, data={"To": new_number(), "From": SENDER, "Body": "x"})
    assert_error(answer, 20404, 404)
    assert answer.json()["message"] == f"The requested resource {path} was not found"


async def test_api_key_and_secondary_token_authenticate_too(configured: Process) -> None:
    for credentials in (API_KEY, (ACCOUNT, SECONDARY_TOKEN), (ACCOUNT, TOKEN)):
        async with browser(configured.url, credentials) as client:
            answer = await client.post(MESSAGES, data={"To": new_number(), "From": SENDER, "Body": "x"})
        assert answer.status_code == 201


REFUSED: list[tuple[dict[str, str], int, int]] = [
    ({"To": ""}, 21604, 400),
    ({"Body": ""}, 21602, 400),
    ({"From": ""}, 21603, 400),
    ({"Body": "a" * 1601}, 21617, 400),
    ({"Body": "👍" * 801}, 21617, 400),
    ({"To": "12025550123"}, 21211, 400),
    ({"To": "+0123456789"}, 21211, 400),
    ({"To": "+12"}, 21211, 400),
    ({"To": "+1202555012345678"}, 21211, 400),
    ({"To": SENDER}, 21211, 400),
    ({"From": "+12025550199"}, 21606, 400),
    ({"From": "Someone!"}, 21212, 400),
    ({"From": "", "MessagingServiceSid": "MG" + "0" * 32}, 21701, 404),
    ({"From": "+12025550199", "MessagingServiceSid": SERVICE}, 21711, 400),
    ({"StatusCallback": "not a URL"}, 21609, 400),
    ({"StatusCallback": "ftp://example.com/x"}, 21609, 400),
    ({"StatusCallback": "https:///x"}, 21609, 400),
    ({"StatusCallback": "http://my_host/x"}, 21609, 400),
    ({"StatusCallback": "http://[not-an-address/x"}, 21609, 400),
    ({"StatusCallback": "http://example.com:99999/x"}, 21609, 400),
    ({"StatusCallback": "https://example.com/" + "x" * 4000}, 21609, 400),
    ({"ValidityPeriod": "0"}, 21624, 400),
    ({"ValidityPeriod": "36001"}, 21624, 400),
    ({"ValidityPeriod": "-5"}, 21624, 400),
    ({"ValidityPeriod": "soon"}, 21624, 400),
    ({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed"}, 35111, 400),
    ({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed", "SendAt": "tomorrow"}, 35114, 400),
    ({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed", "SendAt": in_time(seconds=200)}, 35114, 400),
    ({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed", "SendAt": in_time(days=36)}, 35114, 400),
]


@pytest.mark.parametrize(("change", "code", "status"), REFUSED, ids=[f"{r[1]}-{i}" for i, r in enumerate(REFUSED)])
async def test_a_bad_request_is_refused_with_its_code(
    simulator: Api, change: dict[str, str], code: int, status: int
) -> None:
    assert_error(await simulator.create(**{"to" if k == "To" else k: v for k, v in change.items()}), code, status)


@pytest.mark.parametrize("period", ["1", "36000"])
async def test_validity_periods_up_to_ten_hours_are_taken(simulator: Api, period: str) -> None:
    await simulator.accepted(ValidityPeriod=period)


async def test_unknown_parameters_are_ignored(simulator: Api) -> None:
    await simulator.accepted(Colour="blue", MaxPrice="0.1")


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("a" * 160, "1"),
        ("a" * 161, "2"),
        ("a" * 1600, "11"),
        ("я" * 70, "1"),
        ("я" * 71, "2"),
        ("я" * 1600, "24"),
        ("€" * 80, "1"),
        ("€" * 81, "2"),
        ("a" * 152 + "€" + "a" * 10, "2"),
        ("a" * 152 + "€" + "a" * 152, "3"),
        ("👍" * 35, "1"),
        ("👍" * 67, "3"),
        ("It’s", "1"),
    ],
    ids=str,
)
async def test_segments_are_counted_as_twilio_counts_them(simulator: Api, body: str, segments: str) -> None:
    assert (await simulator.accepted(Body=body))["num_segments"] == segments


MAGIC_TO = [
    ("+15005550001", 21211, "The 'To' number +15005550001 is not a valid phone number."),
    (
        "+15005550002",
        21612,
        f"Message cannot be sent with the current combination of 'To' (+15005550002) and/or 'From' ({SENDER}) "
        "parameters",
    ),
    (
        "+15005550003",
        21408,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: +15005550003",
    ),
    ("+15005550004", 21610, "Attempt to send to unsubscribed recipient"),
    ("+15005550009", 21614, "To number: +15005550009, is not a mobile number"),
]
MAGIC_FROM = [
    (
        "+15005550001",
        21212,
        400,
        "The 'From' number +15005550001 is not a valid phone number, shortcode, or alphanumeric sender ID.",
    ),
    (
        "+15005550007",
        21606,
        400,
        "The From phone number +15005550007 is not a valid, SMS-capable inbound phone number or short code for your "
        "account.",
    ),
    ("+15005550008", 21611, 429, "SMS queue is full."),
]


@pytest.fixture(params=["test account", "live account"])
async def either(request: pytest.FixtureRequest, configured: Process) -> Any:
    """The path and a client of either account."""
    credentials = TEST_ACCOUNT if request.param == "test account" else (ACCOUNT, TOKEN)
    async with browser(configured.url, credentials) as client:
        yield MESSAGES.replace(ACCOUNT, credentials[0]), client


@pytest.mark.parametrize(("to", "code", "message"), MAGIC_TO, ids=[str(row[1]) for row in MAGIC_TO])
async def test_magic_recipients_are_refused_on_both_accounts(either: Any, to: str, code: int, message: str) -> None:
    path, client = either
    answer = await client.post(path, data={"To": to, "From": SENDER, "Body": "x"})
    assert_error(answer, code, 400)
    assert answer.json()["message"] == message


@pytest.mark.parametrize(("sender", "code", "status", "message"), MAGIC_FROM, ids=[str(row[1]) for row in MAGIC_FROM])
async def test_magic_senders_are_refused_on_both_accounts(
    either: Any, sender: str, code: int, status: int, message: str
) -> None:
    path, client = either
    answer = await client.post(path, data={"To": new_number(), "From": sender, "Body": "x"})
    assert_error(answer, code, status)
    assert answer.json()["message"] == message


async def test_test_credentials_take_a_text_and_never_call_back(configured: Process, receiver: Receiver) -> None:
    url, path, to = receiver.address(), MESSAGES.replace(ACCOUNT, TEST_ACCOUNT[0]), new_number()
    async with browser(configured.url, TEST_ACCOUNT) as client:
        answer = await client.post(path, data={"To": to, "From": SENDER, "Body": "x", "StatusCallback": url})
        assert (answer.status_code, answer.json()["status"]) == (201, "queued")
        other = await client.post(path, data={"To": to, "From": "+12025550123", "Body": "x"})
        assert_error(other, 21606, 400)
        service = await client.post(path, data={"To": to, "MessagingServiceSid": SERVICE, "Body": "x"})
        assert_error(service, 20008, 403)
        await asyncio.sleep(0.25)
        assert (await client.get("/simulator/messages", params={"to": to})).json() == []
    assert receiver.at(url) == []


async def test_test_credentials_may_do_nothing_but_create(configured: Process) -> None:
    live = Api(configured.url)
    sid = (await live.accepted())["sid"]
    await live.reaches(sid, "delivered")
    await live.http.aclose()
    path = MESSAGES.replace(ACCOUNT, TEST_ACCOUNT[0])
    one = path.replace(".json", f"/{sid}.json")
    async with browser(configured.url, TEST_ACCOUNT) as client:
        assert_error(await client.get(path), 20008, 403)
        assert_error(await client.get(one), 20008, 403)
        assert_error(await client.post(one, data={"Body": ""}), 20008, 403)
        assert_error(await client.delete(one), 20008, 403)
