"""Many events in one request, and from a file; each is answered as if it came alone."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

import bulk
from bulk import UnreadableFile, lines
from tests.world import KEY, World, free_port, serving, settings_for


async def post(world: World, *events: Any, dry: bool = False) -> httpx.Response:
    return await world.http.post("/api/batches", params={"dryRun": "true"} if dry else {}, json={"events": events})


def shipped(world: World, **fields: Any) -> dict[str, Any]:
    return {"kind": "order-shipped"} | world.event(**fields)


async def test_each_event_is_answered_in_its_place_as_it_would_be_alone(world: World) -> None:
    good, bad = shipped(world), shipped(world, phone="not a number")
    ticket = {"kind": "support-ack", "ticketId": "T-1"} | world.event(orderId=None)
    answer = await post(world, good, bad, "nonsense", {"kind": "spam"}, ticket, good, good | {"orderId": "other"})
    assert answer.status_code == 200
    body = answer.json()
    results = body["results"]
    assert [result["index"] for result in results] == list(range(7))
    assert [result["httpStatus"] for result in results] == [202, 400, 400, 400, 202, 202, 409]
    assert results[0] == {
        "index": 0,
        "httpStatus": 202,
        "eventId": good["eventId"],
        "accepted": True,
        "status": "pending",
    }
    assert (results[1]["error"], results[1]["details"][0]["field"]) == ("invalid_request", "phone")
    assert results[2]["details"][0]["code"] == results[3]["details"][0]["code"] == "kind"
    assert (results[5]["duplicate"], results[6]["error"]) == (True, "event_id_reused")
    assert (body["accepted"], body["duplicates"], body["refused"]) == (2, 1, 4)
    assert good["phone"] not in answer.text
    alone = await world.post(bad | {"kind": None})
    assert alone.json()["details"][-1]["field"] == "kind"  # of the batch alone
    await world.until(good["eventId"], "delivered")
    await world.until(ticket["eventId"], "delivered")


async def test_the_same_batch_again_texts_nobody_twice(world: World) -> None:
    events = [shipped(world) for _ in range(20)]
    for _ in range(3):
        answers = await asyncio.gather(*(post(world, *events) for _ in range(2)))
        assert {answer.status_code for answer in answers} == {200}
    for event in events:
        await world.until(event["eventId"], "delivered")
        assert await world.phones.requests(event["phone"]) == 1
    again = (await post(world, *events)).json()
    assert (again["accepted"], again["duplicates"]) == (0, 20)
    assert all(result["sid"].startswith("SM") for result in again["results"])


async def test_a_dry_run_sends_nothing(world: World) -> None:
    event = shipped(world)
    answer = (await post(world, event, shipped(world, phone="1"), dry=True)).json()
    assert (answer["dryRun"], answer["results"][0]["would"], answer["results"][1]["httpStatus"]) == (True, "send", 400)
    assert (await world.http.get(f"/api/notifications/{event['eventId']}")).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"events": []}, {"events": {}}, {"events": [{}] * 1001}, [], {"events": [1], "x": 1}]
)
async def test_what_is_no_batch_is_refused_as_a_whole(world: World, body: Any) -> None:
    answer = await world.http.post("/api/batches", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_batch_may_be_larger_than_an_event_but_not_endless(world: World) -> None:
    filler = [shipped(world, operatorNote="x" * 400, phone="1") for _ in range(1000)]
    assert (await post(world, *filler)).status_code == 200
    answer = await world.http.post("/api/batches", content=b"[" * 5_000_000)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


async def test_without_temporal_the_whole_batch_is_told_to_come_again(world: World, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, port=free_port(), temporal_address=f"127.0.0.1:{free_port()}")
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        serving(settings),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}", headers=headers, timeout=20) as http,
    ):
        answer = await http.post("/api/batches", json={"events": [shipped(world) for _ in range(100)]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.elapsed.total_seconds() < 8


async def test_a_new_kind_is_in_the_batchs_document_by_itself(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    content = document["paths"]["/api/batches"]["post"]["requestBody"]["content"]["application/json"]
    kinds = [one["properties"]["kind"]["const"] for one in content["schema"]["properties"]["events"]["items"]["oneOf"]]
    assert {"order-shipped", "out-for-delivery", "appointment-reminder", "incident-alert", "support-ack"} <= set(kinds)


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "events.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "eventId,phone,orderId,trackingUrl,remindBefore,rounds\r\n"
        'event-1,+15558675310,"7, and 8",,"[""PT24H""]",2\r\n'
        '\r\nevent-2,+15558675310,"two\nlines",https://example.com,,\r\n',
        "utf-8-sig",
    )
    first, second = lines(path, "order-shipped")
    assert (first.number, second.number) == (2, 5)
    assert first.event == {
        "kind": "order-shipped",
        "eventId": "event-1",
        "phone": "+15558675310",
        "orderId": "7, and 8",
        "remindBefore": ["PT24H"],
        "rounds": 2,
    }
    assert second.event["orderId"] == "two\nlines"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must name the fields"),
        ("phone\n1\n", "must name the fields"),
        ("eventId\n1,2\n", "more cells"),
        ("eventId\n\xff", "events.csv"),
    ],
)
def test_what_is_no_such_file_is_told_in_a_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        list(lines(written(tmp_path, text, "latin-1"), "order-shipped"))
    with pytest.raises(UnreadableFile, match="column `kind`"):
        list(lines(written(tmp_path, "eventId\nevent-1\n"), None))
    with pytest.raises(UnreadableFile):
        list(lines(tmp_path / "missing.csv", "order-shipped"))


async def test_a_file_is_sent_and_told_of_by_line(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 7)
    events = [world.event() for _ in range(20)]
    rows = [f"{one['eventId']},{one['phone']},{one['orderId']},now" for one in events]
    rows[11] = rows[11].replace("+1555", "1-555-")
    path = written(tmp_path, "\n".join(["eventId,phone,orderId,consentAt", *rows]))
    assert await bulk.send(world.settings, Console(width=200), path, "order-shipped", KEY, False) == 1
    out = capsys.readouterr().out
    assert "20 events: 19 accepted, 1 refused" in out
    assert "13" in out
    assert events[11]["eventId"] in out
    assert events[0]["phone"] not in out
    path = written(tmp_path, "\n".join(["eventId,phone,orderId,consentAt", *rows[:5]]))
    assert await bulk.send(world.settings, Console(width=200), path, "order-shipped", KEY, False) == 0
    assert "5 events: 5 repeated" in capsys.readouterr().out


async def test_an_event_id_that_holds_the_number_is_not_printed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = world.event()
    path = written(tmp_path, f"eventId,phone,orderId,consentAt\nx-{event['phone'][1:]},{event['phone']},1,now")
    assert await bulk.send(world.settings, Console(width=200), path, "order-shipped", KEY, False) == 1
    out = capsys.readouterr().out
    assert "(holds the number)" in out
    assert event["phone"][1:] not in out
