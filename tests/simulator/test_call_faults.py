"""Faults on demand for calls, and calls that outlive the process."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulator.calling import Calls, asking
from tests.simulator.harness import CALLS, SENDER, Api, Process, Receiver, until


async def test_too_many_requests_is_answered_once_and_nobody_is_called(
    calls: Calls, simulator: Api, number: str
) -> None:
    await simulator.scenario(number, create=[{"fault": "429", "retryAfter": 3}])
    answer = await calls.create(number)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, 20429, "3")
    assert await calls.records(number) == []
    await calls.accepted(number)


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize(
    "step",
    [{"fault": "500"}, {"fault": "500", "status": 503}, {"fault": "reset"}, {"fault": "hang", "seconds": 0.2}],
    ids=str,
)
async def test_a_fault_says_nothing_about_whether_the_person_is_called(
    calls: Calls, simulator: Api, number: str, step: dict[str, Any], accept: bool
) -> None:
    await simulator.scenario(number, create=[step | {"accept": accept}])
    if step["fault"] == "500":
        assert (await calls.create(number)).status_code == step.get("status", 500)
    else:
        with pytest.raises(httpx.TransportError):
            await calls.create(number)
    assert len(await calls.records(number)) == accept
    if accept:
        await calls.reaches(number, "completed")


async def test_a_slow_answer_is_a_good_one(calls: Calls, simulator: Api, number: str) -> None:
    await simulator.scenario(number, create=[{"fault": "slow", "seconds": 0.2}])
    await calls.accepted(number)


@pytest.mark.parametrize("knob", [{"press": "a"}, {"press": ""}, {"call": "voicemail"}, {"pace": 0}], ids=str)
async def test_a_knob_that_makes_no_sense_is_refused(simulator: Api, number: str, knob: dict[str, Any]) -> None:
    assert (await simulator.http.put(f"/simulator/numbers/{number}", json=knob)).status_code == 422


# The process


@pytest.fixture
async def lasting(tmp_path: Path) -> AsyncIterator[Process]:
    """A simulator with a database file."""
    process = Process(tmp_path, database=tmp_path / "simulator.db")
    await process.start()
    yield process
    await process.stop(signal.SIGKILL)


async def test_calls_survive_kill_9_and_go_on(lasting: Process, receiver: Receiver) -> None:
    done, ringing, talking = "+12025550001", "+12025550002", "+12025550003"
    url, action = receiver.address(), receiver.action("<Say>Thank you</Say>")
    calls = Calls(Api(lasting.url))
    await calls.accepted(done)
    finished = await calls.reaches(done, "completed")
    await calls.api.scenario(ringing, finalAfter=0.8)
    await calls.accepted(ringing, StatusCallback=url)
    await calls.reaches(ringing, "ringing")
    sid = (await calls.accepted(talking, Twiml=asking(action)))["sid"]
    await calls.listens(talking)

    await lasting.stop(signal.SIGKILL)
    await lasting.start()

    assert await calls.records(done) == [finished]
    await calls.listens(talking)
    assert await calls.press(sid, "1") == 204
    assert (await calls.reaches(talking, "completed"))["spoken"] == ["Press 1", "Thank you"], "each word once"
    await receiver.gets(url, 1)
    assert (await calls.reaches(ringing, "completed"))["spoken"] == ["Hello there"]
    await calls.api.http.aclose()


async def test_a_reset_forgets_calls_and_hangs_up(lasting: Process, receiver: Receiver, number: str) -> None:
    url = receiver.address()
    calls = Calls(Api(lasting.url))
    sid = (await calls.accepted(number, Twiml=asking(receiver.action()), StatusCallback=url))["sid"]
    await calls.listens(number)
    assert (await calls.api.http.post("/simulator/reset")).status_code == 204
    assert (await calls.api.http.get("/simulator/calls")).json() == []
    assert (await calls.fetch(sid)).status_code == 404
    await lasting.stop(signal.SIGKILL)
    await lasting.start()
    assert (await calls.api.http.get("/simulator/calls")).json() == []
    assert receiver.at(url) == []
    await calls.api.http.aclose()


async def test_no_number_and_no_word_is_ever_written_out(tmp_path: Path, receiver: Receiver) -> None:
    process, number, words = Process(tmp_path), "+12025550147", "the secret code is 4711"
    await process.start()
    calls = Calls(Api(process.url))
    await calls.api.scenario(number, press="1", pace=1000)
    for twiml in (words, asking(receiver.address(500), words), asking(f"http://127.0.0.1:1/{number}", words)):
        await calls.accepted(number, Twiml=twiml, StatusCallback=f"http://127.0.0.1:1/{number}")
    await calls.create(number, Twiml=words * 1000)

    async def ended() -> bool:
        return all(record["status"] == "completed" for record in await calls.records(number))

    await until(ended)
    await calls.api.scenario(number, create=[{"fault": "reset", "accept": True}])
    with pytest.raises(httpx.TransportError):
        await calls.api.http.post(CALLS, data={"To": number, "From": SENDER, "Twiml": words})
    await calls.api.http.get(CALLS, params={"To": number, "StartTime": number})
    assert await process.stop() in (0, -signal.SIGTERM)
    await calls.api.http.aclose()
    assert process.output() == ""
