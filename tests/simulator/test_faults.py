"""Faults on demand: each is what a client really sees, and says truly whether the text was taken."""

import time
from typing import Any

import aiohttp
import pytest

from tests.simulator.harness import ACCOUNT, MESSAGES, SENDER, TOKEN, Api, Receiver, until


async def attempts(simulator: Api, number: str) -> int:
    return int((await simulator.http.get("/simulator/requests")).json().get(number, 0))


async def by_aiohttp(simulator: Api, number: str, timeout: float = 5) -> int:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session:
        form = {"To": number, "From": SENDER, "Body": "Hello"}
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        async with session.post(simulator.url + MESSAGES, data=form, headers=headers) as answer:
            return answer.status


@pytest.mark.parametrize(
    ("extra", "header"), [({}, None), ({"retryAfter": 3}, "3"), ({"retryAfter": 0.5}, "0.5")], ids=str
)
async def test_too_many_requests_is_answered_once_and_the_text_not_taken(
    simulator: Api, number: str, extra: dict[str, Any], header: str | None
) -> None:
    await simulator.scenario(number, create=[{"fault": "429", **extra}])
    answer = await simulator.create(number)
    assert (answer.status_code, answer.json()["code"]) == (429, 20429)
    assert answer.headers.get("Retry-After") == header
    assert await simulator.records(number) == []
    assert (await simulator.create(number)).status_code == 201
    assert await attempts(simulator, number) == 2


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize(("status", "code"), [(500, 20500), (502, 20500), (503, 20503)])
async def test_a_server_error_says_nothing_about_whether_the_text_was_taken(
    simulator: Api, receiver: Receiver, number: str, accept: bool, status: int, code: int
) -> None:
    url = receiver.address()
    await simulator.scenario(number, create=[{"fault": "500", "status": status, "accept": accept}])
    answer = await simulator.create(number, StatusCallback=url)
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (status, code, status)
    assert len(await simulator.records(number)) == accept
    if accept:
        await receiver.gets(url, 2)


@pytest.mark.parametrize("accept", [False, True])
async def test_a_hang_gives_no_answer(simulator: Api, number: str, accept: bool) -> None:
    await simulator.scenario(number, create=[{"fault": "hang", "seconds": 1.5, "accept": accept}])
    with pytest.raises(TimeoutError):
        await by_aiohttp(simulator, number, timeout=0.3)
    assert len(await simulator.records(number)) == accept
    assert await attempts(simulator, number) == 1


async def test_a_hang_ends_with_a_cut_connection(simulator: Api, number: str) -> None:
    await simulator.scenario(number, create=[{"fault": "hang", "seconds": 0.2}])
    begun = time.monotonic()
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await by_aiohttp(simulator, number)
    assert isinstance(caught.value, ConnectionResetError) or caught.value.errno == 104
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("accept", [False, True])
async def test_a_reset_is_a_connection_reset_by_the_peer(simulator: Api, number: str, accept: bool) -> None:
    await simulator.scenario(number, create=[{"fault": "reset", "accept": accept}])
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await by_aiohttp(simulator, number)
    assert caught.value.errno == 104, "ECONNRESET, no mere end of the stream"
    assert len(await simulator.records(number)) == accept
    assert await by_aiohttp(simulator, number) == 201


async def test_a_slow_answer_comes_all_the_same(simulator: Api, number: str) -> None:
    await simulator.scenario(number, create=[{"fault": "slow", "seconds": 0.3}])
    begun = time.monotonic()
    assert (await simulator.create(number)).status_code == 201
    assert time.monotonic() - begun >= 0.3
    assert len(await simulator.records(number)) == 1


async def test_steps_are_consumed_one_by_one(simulator: Api, number: str) -> None:
    await simulator.scenario(number, create=[{"fault": "429"}, {"fault": "500"}, {"fault": "none"}, {"fault": "429"}])
    assert [(await simulator.create(number)).status_code for _ in range(5)] == [429, 500, 201, 429, 201]


async def test_a_fault_can_last_for_ever(simulator: Api, number: str) -> None:
    await simulator.scenario(number, create=[{"fault": "none"}], createForever={"fault": "429"})
    assert [(await simulator.create(number)).status_code for _ in range(4)] == [201, 429, 429, 429]
    await simulator.http.delete(f"/simulator/numbers/{number}")
    assert (await simulator.create(number)).status_code == 201


async def test_a_lagging_list_misses_the_newest(simulator: Api, number: str) -> None:
    await simulator.scenario(number, listLag=0.3)
    sid = (await simulator.accepted(number))["sid"]

    async def listed() -> list[str]:
        rows = (await simulator.http.get(MESSAGES, params={"To": number})).json()["messages"]
        return [row["sid"] for row in rows]

    assert await listed() == []
    assert (await simulator.fetch(sid)).status_code == 200
    assert await until(listed) == [sid]


async def test_a_lagging_fetch_does_not_find_the_newest(simulator: Api, number: str) -> None:
    await simulator.scenario(number, fetchLag=0.3)
    sid = (await simulator.accepted(number))["sid"]
    answer = await simulator.fetch(sid)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    await simulator.reaches(sid, "delivered")


async def test_a_knob_that_does_not_exist_is_refused(simulator: Api, number: str) -> None:
    for wrong in ({"outcom": "failed"}, {"callbacks": {"loose": "all"}}, {"create": [{"fault": "flood"}]}):
        assert (await simulator.http.put(f"/simulator/numbers/{number}", json=wrong)).status_code == 422


async def test_a_scenario_can_be_read_back(simulator: Api, number: str) -> None:
    await simulator.scenario(number, outcome="undelivered", errorCode=30005)
    for scenario in (
        (await simulator.http.get(f"/simulator/numbers/{number}")).json(),
        (await simulator.http.get("/simulator/numbers")).json()[number],
    ):
        assert (scenario["outcome"], scenario["errorCode"]) == ("undelivered", 30005)
