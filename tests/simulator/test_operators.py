"""The operators' desk: only genuine notices, each once, and refusals on demand."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.simulator.harness import OPERATIONS_SECRET, Api, new_number

NOTICE = {"reason": "no balance", "what": "A text was refused", "do": "Top up", "eventId": "evt_1", "error": 20003}


def signed(name: str, body: str, *, at: datetime | None = None, secret: str = OPERATIONS_SECRET) -> dict[str, str]:
    """Headers as the reference library of Standard Webhooks makes them."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, body),
        "content-type": "application/json",
    }


@pytest.fixture
async def desk(simulator: Api) -> AsyncIterator[Api]:
    await simulator.http.put("/simulator/operators", json={"failNext": 0})
    yield simulator
    await simulator.http.put("/simulator/operators", json={"failNext": 0})


async def notices(desk: Api, name: str) -> list[dict[str, Any]]:
    return [notice for notice in (await desk.http.get("/simulator/notices")).json() if notice["id"] == name]


async def post(desk: Api, headers: dict[Any, Any], body: str) -> httpx.Response:
    return await desk.http.post("/operators/webhook", headers=headers, content=body)


async def test_a_genuine_notice_is_taken_and_a_repeat_is_not_shown_twice(desk: Api) -> None:
    name, body = f"msg_{new_number()}", json.dumps(NOTICE)
    for _ in range(2):
        assert (await post(desk, signed(name, body), body)).status_code == 204
    (notice,) = await notices(desk, name)
    assert notice == NOTICE | {"id": name, "at": notice["at"]}
    assert datetime.fromisoformat(notice["at"]).tzinfo is not None


async def test_a_notice_that_is_not_genuine_is_refused(desk: Api) -> None:
    name, body = f"msg_{new_number()}", json.dumps(NOTICE)
    good = signed(name, body)
    for headers in (
        {},
        signed(name, body, secret="whsec_" + "b3RoZXItc2VjcmV0LW9mLXNvbWVvbmUtZWxzZQ"),
        signed(name, body, at=datetime.now(UTC) - timedelta(minutes=6)),
        signed(name, body, at=datetime.now(UTC) + timedelta(minutes=6)),
        good | {"webhook-id": name + "x"},
        good | {"webhook-timestamp": "yesterday"},
        good | {"webhook-signature": good["webhook-signature"].removeprefix("v1,")},
        {key.encode(): value.encode() for key, value in good.items()} | {b"webhook-signature": b"v1,\xe9"},
        {key.encode(): value.encode() for key, value in good.items()} | {b"webhook-timestamp": b"\xb2"},
    ):
        assert (await post(desk, headers, body)).status_code == 401, headers
    assert (await post(desk, good, body + " ")).status_code == 401
    assert await notices(desk, name) == []


async def test_one_right_signature_among_several_is_enough(desk: Api) -> None:
    name, body = f"msg_{new_number()}", json.dumps(NOTICE)
    headers = signed(name, body)
    headers["webhook-signature"] = f"v1,b3RoZXI= {headers['webhook-signature']}"
    assert (await post(desk, headers, body)).status_code == 204


@pytest.mark.parametrize("body", ["no JSON", "[]", "null"])
async def test_a_genuine_notice_that_is_no_object_is_refused(desk: Api, body: str) -> None:
    name = f"msg_{new_number()}"
    assert (await post(desk, signed(name, body), body)).status_code == 400


async def test_the_desk_fails_as_often_as_it_is_told(desk: Api) -> None:
    name, body = f"msg_{new_number()}", json.dumps(NOTICE)
    await desk.http.put("/simulator/operators", json={"failNext": 2, "status": 503})
    answers = [(await post(desk, signed(name, body), body)).status_code for _ in range(3)]
    assert answers == [503, 503, 204]
    assert len(await notices(desk, name)) == 1


async def test_a_page_sees_a_notice_as_it_comes(desk: Api) -> None:
    name, body = f"msg_{new_number()}", json.dumps(NOTICE)
    async with desk.http.stream("GET", "/simulator/events") as events:
        lines = events.aiter_lines()
        await anext(lines)
        await post(desk, signed(name, body), body)

        async def seen() -> dict[str, Any]:
            async for line in lines:
                if name in line:
                    return dict(json.loads(line.removeprefix("data: ")))
            raise AssertionError

        event = await asyncio.wait_for(seen(), 5)
    assert event["type"] == "notice"
    assert event["notice"]["do"] == "Top up"
