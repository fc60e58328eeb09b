"""Twilio's REST API for calls: what is answered, refused, listed and ended."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallInstance

from tests.simulator.calling import HELLO, Calls
from tests.simulator.conftest import TEST_ACCOUNT
from tests.simulator.harness import ACCOUNT, BASE, CALLS, SENDER, Api, Process, Receiver, browser, new_number

FIELDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("call_fields.json").read_text())["fields"]
SORTS = {str: "string", dict: "object", type(None): "null"}


async def test_the_answer_has_exactly_the_published_fields_with_their_types(calls: Calls, number: str) -> None:
    created = await calls.accepted(number)
    await calls.reaches(number, "completed")
    for resource in (created, (await calls.fetch(created["sid"])).json()):
        assert set(resource) == set(FIELDS)
        for name, value in resource.items():
            assert SORTS[type(value)] in FIELDS[name], name


def test_the_fields_are_those_that_the_official_call_reads(library: Client) -> None:
    class Spy(dict[str, Any]):
        read: set[str]

        def get(self, name: str, default: Any = None) -> Any:
            self.read.add(name)
            return super().get(name, default)

    spy = Spy()
    spy.read = set()
    CallInstance(library.api.v2010, spy, account_sid=ACCOUNT)
    assert spy.read == set(FIELDS)


async def test_a_call_is_queued_and_neither_dialled_nor_priced(calls: Calls, number: str) -> None:
    resource = await calls.accepted(number)
    assert re.fullmatch(r"CA[0-9a-f]{32}", resource["sid"])
    assert abs((datetime.now(UTC) - parsedate_to_datetime(resource["date_created"])).total_seconds()) < 3
    assert [resource[name] for name in ("status", "direction", "to", "from")] == [
        "queued",
        "outbound-api",
        number,
        SENDER,
    ]
    assert [resource[name] for name in ("start_time", "end_time", "duration", "price")] == [None] * 4
    assert resource["to_formatted"] == f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    assert resource["uri"] == f"{BASE}/Calls/{resource['sid']}.json"
    assert resource["subresource_uris"]["recordings"] == f"{BASE}/Calls/{resource['sid']}/Recordings.json"


async def test_the_official_library_creates_and_fetches(calls: Calls, library: Client, number: str) -> None:
    call = await asyncio.to_thread(library.calls.create, to=number, from_=SENDER, twiml=HELLO)
    assert (call.status, call.to, call._from) == ("queued", number, SENDER)
    assert isinstance(call.date_created, datetime)
    await calls.reaches(number, "completed")
    fetched = await asyncio.to_thread(library.calls(call.sid).fetch)
    assert (fetched.status, fetched.duration, fetched.price) == ("completed", "1", "-0.01400")
    assert fetched.start_time <= fetched.end_time


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"to": ""}, 21201),
    ({"to": "12025550123"}, 21211),
    ({"to": "sip:someone@example.com"}, 21211),
    ({"to": SENDER}, 21211),
    ({"to": "+15005550001"}, 21217),
    ({"to": "+15005550002"}, 21214),
    ({"to": "+15005550003"}, 21215),
    ({"to": "+15005550004"}, 21216),
    ({"From": ""}, 21213),
    ({"From": "Someone"}, 21212),
    ({"From": "+12025550199"}, 21210),
    ({"Twiml": ""}, 21205),
    ({"Twiml": "", "Url": "https://example.com/twiml"}, 21205),
    ({"Url": "https://example.com/twiml"}, 21205),
    ({"Twiml": "x" * 4001}, 32018),
    ({"Timeout": "0"}, 21208),
    ({"Timeout": "soon"}, 21208),
    ({"StatusCallback": "not a URL"}, 21609),
    ({"StatusCallbackMethod": "PUT"}, 21209),
    ({"StatusCallbackEvent": ["answered", "hung-up"]}, 21626),
]


@pytest.mark.parametrize(("change", "code"), REFUSED, ids=[f"{r[1]}-{i}" for i, r in enumerate(REFUSED)])
async def test_a_bad_request_is_refused_with_its_code(calls: Calls, change: dict[str, Any], code: int) -> None:
    answer = await calls.create(**change)
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (400, code, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert "{" not in body["message"]


async def test_the_official_library_raises_the_code_of_a_refusal(library: Client) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(library.calls.create, to="nonsense", from_=SENDER, twiml=HELLO)
    assert (caught.value.code, caught.value.status) == (21211, 400)


async def test_wrong_credentials_and_foreign_accounts_get_nowhere(simulator: Api) -> None:
    form = {"To": new_number(), "From": SENDER, "Twiml": HELLO}
    async with browser(simulator.url, (ACCOUNT, "wrong")) as client:
        answer = await client.post(CALLS, data=form)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    answer = await simulator.http.post(CALLS.replace(ACCOUNT, "AC" + "f" * 32), data=form)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


async def test_test_credentials_call_nobody(configured: Process, number: str) -> None:
    calls = Calls(Api(configured.url))
    path = CALLS.replace(ACCOUNT, TEST_ACCOUNT[0])
    async with browser(configured.url, TEST_ACCOUNT) as client:
        form = {"To": number, "From": "+15005550006", "Twiml": HELLO}
        assert (await client.post(path, data=form)).json()["status"] == "queued"
        assert (await client.post(path, data=form | {"From": "+12025550199"})).json()["code"] == 21210
        assert (await client.get(path)).json()["code"] == 20008
    assert await calls.records(number) == []
    await calls.api.http.aclose()


async def test_a_call_that_does_not_exist_is_not_found(calls: Calls, library: Client) -> None:
    sid = "CA" + "0" * 32
    for answer in (await calls.fetch(sid), await calls.update(sid, "completed")):
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert await calls.press(sid, "1") == 404
    with pytest.raises(TwilioRestException, match="not found"):
        await asyncio.to_thread(library.calls(sid).fetch)


# Lists


async def test_the_official_library_pages_through_a_list(calls: Calls, library: Client, number: str) -> None:
    sids = [(await calls.accepted(number))["sid"] for _ in range(5)]
    rows = await asyncio.to_thread(library.calls.list, to=number, page_size=2)
    assert [row.sid for row in rows] == sids[::-1], "newest first, and each once"
    page = await asyncio.to_thread(library.calls.page, to=number, page_size=3)
    assert [row.sid for row in page] == sids[:1:-1]
    page = await asyncio.to_thread(page.next_page)
    assert [row.sid for row in page] == sids[1::-1]


async def test_a_list_is_filtered_by_numbers_status_and_time(calls: Calls, library: Client, number: str) -> None:
    sid = (await calls.accepted(number))["sid"]
    await calls.reaches(number, "completed")
    now, hour = datetime.now(UTC), timedelta(hours=1)
    filters: list[tuple[dict[str, Any], bool]] = [
        ({"from_": SENDER}, True),
        ({"from_": "+12025550000"}, False),
        ({"status": "completed"}, True),
        ({"status": "busy"}, False),
        ({"start_time_after": now - hour, "start_time_before": now + hour}, True),
        ({"start_time_after": now + hour}, False),
        ({"end_time_before": now - hour}, False),
        ({"parent_call_sid": "CA" + "0" * 32}, False),
    ]
    for query, found in filters:
        rows = await asyncio.to_thread(library.calls.list, to=number, **query)
        assert [row.sid for row in rows] == ([sid] if found else []), query
    answer = await calls.api.http.get(CALLS, params={"StartTime": "yesterday"})
    assert (answer.status_code, answer.json()["code"]) == (422, 20422)


async def test_a_lagging_list_and_fetch_miss_the_newest(calls: Calls, simulator: Api, number: str) -> None:
    await simulator.scenario(number, listLag=60, fetchLag=60)
    sid = (await calls.accepted(number))["sid"]
    assert (await simulator.http.get(CALLS, params={"To": number})).json()["calls"] == []
    assert (await calls.fetch(sid)).status_code == 404


# Ending a call


async def test_a_call_that_rings_can_be_cancelled(
    calls: Calls, library: Client, simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    await simulator.scenario(number, finalAfter=30)
    sid = (await calls.accepted(number, StatusCallback=url))["sid"]
    await calls.reaches(number, "ringing")
    cancelled = await asyncio.to_thread(library.calls(sid).update, status="canceled")
    assert (cancelled.status, cancelled.duration) == ("canceled", None)
    (told,) = await receiver.gets(url, 1)
    assert told.form["CallStatus"] == "canceled"
    again = await calls.update(sid, "canceled")
    assert (again.status_code, again.json()["code"]) == (400, 21220)


async def test_a_call_in_progress_can_be_completed_and_not_cancelled(
    calls: Calls, library: Client, number: str
) -> None:
    sid = (await calls.accepted(number, Twiml='<Response><Pause length="30"/></Response>'))["sid"]
    await calls.reaches(number, "in-progress")
    assert (await calls.update(sid, "canceled")).json()["status"] == "in-progress"
    completed = await asyncio.to_thread(library.calls(sid).update, status="completed")
    assert (completed.status, completed.duration) == ("completed", "1")


async def test_only_what_has_ended_can_be_deleted(calls: Calls, library: Client, number: str) -> None:
    sid = (await calls.accepted(number))["sid"]
    refused = await calls.api.http.delete(f"{BASE}/Calls/{sid}.json")
    assert (refused.status_code, refused.json()["code"]) == (409, 20009)
    await calls.reaches(number, "completed")
    assert await asyncio.to_thread(library.calls(sid).delete)
    assert (await calls.fetch(sid)).status_code == 404


async def test_no_other_change_is_made(calls: Calls, simulator: Api, number: str) -> None:
    sid = (await calls.accepted(number))["sid"]
    for form, code, status in [
        ({"Status": "ringing"}, 20422, 422),
        ({}, 20422, 422),
        ({"Twiml": HELLO}, 21205, 400),
        ({"Url": "https://example.com/x"}, 21205, 400),
    ]:
        answer = await simulator.http.post(f"{BASE}/Calls/{sid}.json", data=form)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
