"""What was taken: lists, changes, and what survives the process."""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.simulator.harness import BASE, MESSAGES, SERVICE, Api, Process, Receiver, browser


def in_one_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def scheduled(simulator: Api, number: str, **fields: str) -> str:
    created = await simulator.accepted(
        number, From="", MessagingServiceSid=SERVICE, ScheduleType="fixed", SendAt=in_one_hour(), **fields
    )
    assert (created["status"], created["from"], created["num_segments"]) == ("scheduled", None, "0")
    return str(created["sid"])


# Lists


async def test_the_official_library_pages_through_a_list(simulator: Api, library: Client, number: str) -> None:
    sids = [(await simulator.accepted(number, Body=f"No. {i}"))["sid"] for i in range(7)]
    await simulator.reaches(sids[-1], "delivered")
    rows = await asyncio.to_thread(library.messages.list, to=number, page_size=3)
    assert [row.sid for row in rows] == sids[::-1], "newest first, and each once"
    page = await asyncio.to_thread(library.messages.page, to=number, page_size=3)
    assert [row.sid for row in page] == sids[:3:-1]
    page = await asyncio.to_thread(page.next_page)
    assert [row.sid for row in page] == sids[3:0:-1]
    back = await asyncio.to_thread(page.previous_page)
    assert [row.sid for row in back] == sids[:3:-1]


async def test_the_envelope_of_a_list_is_twilios(simulator: Api, number: str) -> None:
    for _ in range(3):
        await simulator.accepted(number)
    envelope = (await simulator.http.get(MESSAGES, params={"To": number, "PageSize": 2})).json()
    assert set(envelope) == {
        "messages",
        "page",
        "page_size",
        "start",
        "end",
        "first_page_uri",
        "next_page_uri",
        "previous_page_uri",
        "uri",
    }
    assert [envelope[name] for name in ("page", "page_size", "start", "end")] == [0, 2, 0, 1]
    assert envelope["previous_page_uri"] is None
    assert envelope["next_page_uri"].startswith(MESSAGES)
    second = (await simulator.http.get(envelope["next_page_uri"])).json()
    assert [second[name] for name in ("page", "start", "end")] == [1, 2, 2]
    assert second["next_page_uri"] is None
    assert len(second["messages"]) == 1


async def test_a_list_is_filtered_by_numbers_and_by_the_day_of_sending(simulator: Api, number: str) -> None:
    sid = (await simulator.accepted(number))["sid"]
    await simulator.reaches(sid, "delivered")
    now = datetime.now(UTC)
    today, yesterday = f"{now:%Y-%m-%d}", f"{now - timedelta(days=1):%Y-%m-%d}"
    ago, ahead = (f"{now + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}" for minutes in (-1, 1))
    for query, found in [
        ({}, True),
        ({"From": "+15005550006"}, True),
        ({"From": "+12025550000"}, False),
        ({"DateSent": today}, True),
        ({"DateSent": yesterday}, False),
        ({"DateSent>": today}, True),
        ({"DateSent<": yesterday}, False),
        ({"DateSent>": ago, "DateSent<": ahead}, True),
        ({"DateSent>": ahead}, False),
    ]:
        rows = (await simulator.http.get(MESSAGES, params={"To": number, **query})).json()["messages"]
        assert [row["sid"] for row in rows] == ([sid] if found else []), query


async def test_the_official_library_filters_by_time(simulator: Api, library: Client, number: str) -> None:
    sid = (await simulator.accepted(number))["sid"]
    await simulator.reaches(sid, "delivered")
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    found = await asyncio.to_thread(
        library.messages.list, to=number, date_sent_after=now - hour, date_sent_before=now + hour
    )
    assert [row.sid for row in found] == [sid]
    assert await asyncio.to_thread(library.messages.list, to=number, date_sent_after=now + hour) == []


async def test_a_filter_by_the_time_of_sending_misses_what_is_not_sent(simulator: Api, number: str) -> None:
    await simulator.scenario(number, outcome="queued")
    await simulator.accepted(number)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert (await simulator.http.get(MESSAGES, params={"To": number, "DateSent": today})).json()["messages"] == []
    assert len((await simulator.http.get(MESSAGES, params={"To": number})).json()["messages"]) == 1


async def test_a_message_that_does_not_exist_is_not_found(simulator: Api, library: Client) -> None:
    path = f"{BASE}/Messages/SM{'0' * 32}.json"
    for answer in (
        await simulator.http.get(path),
        await simulator.http.post(path, data={"Body": ""}),
        await simulator.http.delete(path),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)
        assert answer.json()["message"] == f"The requested resource {path} was not found"
    with pytest.raises(TwilioRestException, match="not found"):
        await asyncio.to_thread(library.messages("SM" + "0" * 32).fetch)


# Changes


async def test_redaction_empties_the_body(simulator: Api, library: Client, number: str) -> None:
    sid = (await simulator.accepted(number, Body="a secret"))["sid"]
    await simulator.reaches(sid, "delivered")
    redacted = await asyncio.to_thread(library.messages(sid).update, body="")
    assert (redacted.body, redacted.status) == ("", "delivered")
    assert (await simulator.fetch(sid)).json()["body"] == ""
    (record,) = await simulator.records(number)
    assert (record["body"], record["redacted"]) == ("", True)


async def test_only_a_scheduled_text_can_be_cancelled(
    simulator: Api, library: Client, receiver: Receiver, number: str
) -> None:
    url = receiver.address()
    sid = await scheduled(simulator, number, StatusCallback=url)
    cancelled = await asyncio.to_thread(library.messages(sid).update, status="canceled")
    assert cancelled.status == "canceled"
    await receiver.gets(url, 1)
    assert receiver.statuses(url) == ["canceled"]
    for one in (sid, (await simulator.accepted(number))["sid"]):
        answer = await simulator.http.post(f"{BASE}/Messages/{one}.json", data={"Status": "canceled"})
        assert (answer.status_code, answer.json()["code"]) == (400, 30400)


@pytest.mark.parametrize("early", [False, True])
async def test_a_scheduled_text_waits(simulator: Api, number: str, early: bool) -> None:
    await simulator.scenario(number, callbacks={"early": early})
    sid = await scheduled(simulator, number)
    await asyncio.sleep(0.2)
    assert (await simulator.fetch(sid)).json()["status"] == "scheduled"


async def test_a_schedule_without_a_service_is_no_schedule(simulator: Api, number: str) -> None:
    assert (await simulator.accepted(number, ScheduleType="fixed", SendAt=in_one_hour()))["status"] == "queued"


@pytest.mark.parametrize(
    "form", [{"Body": "other"}, {"Body": "", "Status": "canceled"}, {"Status": "sent"}, {}], ids=str
)
async def test_any_other_change_is_refused(simulator: Api, number: str, form: dict[str, str]) -> None:
    sid = await scheduled(simulator, number)
    answer = await simulator.http.post(f"{BASE}/Messages/{sid}.json", data=form)
    assert (answer.status_code, answer.json()["code"]) == (400, 30400)


async def test_a_text_can_be_deleted_only_when_it_is_through(simulator: Api, library: Client, number: str) -> None:
    await simulator.scenario(number, outcome="queued")
    sid = (await simulator.accepted(number))["sid"]
    refused = await simulator.http.delete(f"{BASE}/Messages/{sid}.json")
    assert (refused.status_code, refused.json()["code"]) == (409, 20009)
    await simulator.http.post(f"/simulator/messages/{sid}/callback", json={"status": "delivered"})
    assert await asyncio.to_thread(library.messages(sid).delete) is True
    assert (await simulator.fetch(sid)).status_code == 404
    assert await simulator.records(number) == []


async def test_a_deleted_text_does_not_come_back_with_its_last_callback(
    simulator: Api, receiver: Receiver, number: str
) -> None:
    url = receiver.address(0.2, 0.2)
    sid = (await simulator.accepted(number, StatusCallback=url))["sid"]
    await simulator.reaches(sid, "delivered")
    assert (await simulator.http.delete(f"{BASE}/Messages/{sid}.json")).status_code == 204
    await asyncio.sleep(0.35)
    assert (await simulator.fetch(sid)).status_code == 404


# The process


@pytest.fixture
async def lasting(tmp_path: Path) -> AsyncIterator[Process]:
    """A simulator with a database file."""
    process = Process(tmp_path, database=tmp_path / "kept" / "simulator.db")
    await process.start()
    yield process
    await process.stop(signal.SIGKILL)


async def test_everything_survives_kill_9_and_goes_on(lasting: Process, receiver: Receiver) -> None:
    first, second, third, url = "+12025550001", "+12025550002", "+12025550003", receiver.address()
    api = Api(lasting.url)
    await api.scenario(second, outcome="undelivered", errorCode=30005, create=[{"fault": "429"}, {"fault": "500"}])
    assert (await api.create(second)).status_code == 429
    sids = [(await api.accepted(number))["sid"] for number in (first, third)]
    await api.reaches(sids[0], "delivered")
    waiting = await scheduled(api, third)
    await api.scenario(first, sentAfter=0.6, finalAfter=0.8)
    on_its_way = (await api.accepted(first, StatusCallback=url))["sid"]
    await api.http.post(f"{BASE}/Messages/{sids[0]}.json", data={"Body": ""})
    before = [record["sid"] for record in (await api.http.get("/simulator/messages")).json()]
    assert (await api.fetch(on_its_way)).json()["status"] == "queued"

    await lasting.stop(signal.SIGKILL)
    await lasting.start()

    kept = (await api.http.get("/simulator/messages")).json()
    assert [record["sid"] for record in kept] == before, "in the order of their creation"
    assert kept[0]["redacted"]
    assert (await api.http.get("/simulator/requests")).json() == {first: 2, second: 1, third: 2}
    assert (await api.create(second)).status_code == 500, "a fault that was met is not met again"
    sid = (await api.accepted(second))["sid"]
    assert (await api.reaches(sid, "undelivered"))["error_code"] == 30005
    await api.reaches(on_its_way, "delivered")
    await receiver.gets(url, 2)
    assert receiver.statuses(url) == ["sent", "delivered"]
    assert (await api.fetch(waiting)).json()["status"] == "scheduled", "a restart is no reason to send"
    await api.http.post("/simulator/reset")
    assert (await api.http.get("/simulator/messages")).json() == []
    assert (await api.http.get("/simulator/requests")).json() == {}
    await api.http.aclose()


async def test_sigterm_ends_it_soon_and_cleanly_though_a_page_is_open(lasting: Process) -> None:
    async with browser(lasting.url) as client, client.stream("GET", "/simulator/events") as events:
        await anext(events.aiter_lines())
        begun = time.monotonic()
        code = await lasting.stop()
        assert time.monotonic() - begun < 2.5
    assert code in (0, -signal.SIGTERM)
    assert lasting.output() == ""


async def test_no_number_and_no_text_is_ever_written_out(tmp_path: Path, receiver: Receiver) -> None:
    process, number, text = Process(tmp_path), "+12025550147", "the-secret-code-is-4711"
    await process.start()
    api = Api(process.url)
    await api.accepted(number, Body=text, StatusCallback=receiver.address())
    await api.accepted(number, Body=text, StatusCallback=f"http://127.0.0.1:1/{number}")
    await api.create(number, Body=text * 100)
    await api.create("+15005550001", Body=text)
    for fault in ("reset", "hang"):
        await api.scenario(number, create=[{"fault": fault, "seconds": 0.2, "accept": True}])
        for _ in range(2):
            with contextlib.suppress(httpx.TransportError):
                await api.http.post(MESSAGES, data={"To": number, "From": "+15005550006", "Body": text}, timeout=0.1)
    await api.http.get(MESSAGES, params={"To": number, "PageSize": number, "DateSent": number})
    await api.http.get(MESSAGES, params={"To": number, "DateSent": number})
    await api.http.get(f"/nowhere/{number}")
    await api.http.put(f"/simulator/numbers/{number}", json={"outcome": number})
    await api.http.post("/operators/webhook", content=text)
    await asyncio.sleep(0.5)
    assert await process.stop() in (0, -signal.SIGTERM)
    await api.http.aclose()
    assert process.output() == ""


async def test_the_page_and_the_health_check_are_served(simulator: Api) -> None:
    page = await simulator.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"(src|href)=.?(https?:)?//|@import|url\(", page.text), "nothing comes from elsewhere"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", page.text), "bodies are untrusted"
    assert (await simulator.http.get("/healthz")).json() == {"status": "ok"}


async def test_a_wrong_clock_shows_in_the_dates(configured: Process, number: str) -> None:
    api = Api(configured.url)
    await api.http.put("/simulator/clock", json={"offsetSeconds": -86_400})
    created = (await api.accepted(number))["date_created"]
    await api.http.put("/simulator/clock", json={"offsetSeconds": 0})
    await api.http.aclose()
    assert created.startswith(f"{datetime.now(UTC) - timedelta(days=1):%a, %d %b %Y}")
