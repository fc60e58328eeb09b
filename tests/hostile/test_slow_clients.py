"""Clients that take their time: each is hung up on, and nobody else waits for them."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from api import connection, limits
from api.codec.server import server as codec_server
from tests.hostile.wire import HUNG_UP, Wire, ask, request, wire
from tests.world import KEY, World, free_port, listening

HEALTH = request("GET", "/healthz")
SHIPPED = "/api/order-shipped-sms"
HEAD_ONLY = b"POST /api/order-shipped-sms HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST /api/order-shipped-sms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.6)
    monkeypatch.setattr(connection, "REST_WITHIN", 0.6)
    monkeypatch.setattr(limits, "BODY_WITHIN", 0.6)


async def trickle(one: Wire, first: bytes, drop: bytes, *, seconds: float = 6) -> float:
    """Sends a drop now and then; after how many seconds the server hung up."""
    began = time.monotonic()
    await one.send(first)
    ended = asyncio.create_task(one.ended(within=seconds))
    while not ended.done():
        await one.send(drop)
        await asyncio.sleep(0.05)
    assert await ended, "the server still listens"
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"G", b""),
        (b"", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\n", b"X: 1\r\n"),
        (b"GET /healthz HTTP/1.1\r\nX-Endless: ", b"x"),
        (HEALTH + b"GET /healthz HTTP/1.1\r\n", b"X: 1\r\n"),
        (HEAD_ONLY, b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED, b""),
        (CHUNKED + b"5000\r\nx", b"x"),
    ],
)
async def test_a_request_that_trickles_in_is_hung_up_on(world: World, first: bytes, drop: bytes) -> None:
    async with wire(world) as one:
        assert 0.4 < await trickle(one, first, drop) < 5


async def test_the_codec_server_hangs_up_on_one_too(world: World) -> None:
    keys = (("ada", SecretStr("a-key-of-an-operator")),)
    settings = world.settings.model_copy(update={"codec_port": free_port(), "codec_keys": keys})
    async with listening(codec_server(settings)), wire(world, settings.codec_port) as one:
        assert 0.4 < await trickle(one, b"POST /decode HTTP/1.1\r\n", b"X: 1\r\n") < 5


async def test_a_late_head_and_a_late_body_are_told_so(world: World) -> None:
    for part in (b"GET /healthz HTTP/1.1\r\n", HEAD_ONLY):
        reply = await ask(world, part)
        assert (reply.status, reply.headers["connection"].lower()) == (408, "close")
        assert reply.headers["content-type"] == "application/problem+json"


async def test_what_is_left_of_a_refused_body_is_not_waited_for(world: World) -> None:
    async with wire(world) as one:
        await one.send(HEAD_ONLY.replace(b"1000", b"100000000"))
        assert (await one.reply()).status == 413
        assert await trickle(one, b"", b"x" * 1_000) < 5


async def test_a_large_body_has_longer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BYTES_PER_SECOND", 20_000)
    async with wire(world) as one:
        await one.send(b"POST /api/batches HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b" " * 30_000)
        await asyncio.sleep(1.2)
        await one.send(b" " * 30_000)
        assert (await one.reply()).status == 401  # which is told after the whole body


async def test_a_connection_is_kept_between_requests_longer_than_a_request_may_take(world: World) -> None:
    async with wire(world) as one:
        for _ in range(2):
            await asyncio.sleep(0.8)
            await one.send(HEALTH)
            assert (await one.reply()).status == 200


async def test_an_answer_may_take_longer_than_a_request(world: World) -> None:
    event = world.event()
    await world.phones.behave(event["phone"], create=[{"fault": "slow", "seconds": 0.85}])
    answer = await world.post(event, Prefer="wait=2")
    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() > 0.8


async def ask_for_ever(writer: asyncio.StreamWriter) -> None:
    """Raises ConnectionError when the server has hung up."""
    while True:
        writer.write(request("GET", "/openapi.json") * 20)
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_who_does_not_read_his_answers_is_hung_up_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_READ_WITHIN", 0.6)
    _, writer = await asyncio.open_connection("127.0.0.1", world.settings.port, limit=1)
    try:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(ask_for_ever(writer), 10)
    finally:
        writer.close()


async def test_hundreds_of_slow_clients_stop_nobody_else(world: World) -> None:
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(wire(world)) for _ in range(300)]
        parts = (b"GET /healthz HTTP/1.1\r\nX: ", HEAD_ONLY, CHUNKED)
        await asyncio.gather(*(one.send(parts[n % 3]) for n, one in enumerate(slow)))
        waits = []
        for _ in range(20):
            began = time.monotonic()
            assert (await ask(world, HEALTH)).status == 200
            waits.append(time.monotonic() - began)
        assert sorted(waits)[10] < 0.5
        assert (await world.post(world.event())).status_code == 202
        replies = await asyncio.gather(*(one.reply() for one in slow))
        assert {reply.status for reply in replies if reply is not HUNG_UP} == {408}
        assert all(await asyncio.gather(*(one.ended() for one in slow)))


@pytest.mark.parametrize(
    "authorization", [b"", b"Authorization: Bearer nobodys-key\r\n", b"Authorization: Basic eA==\r\n"]
)
async def test_who_has_no_key_cannot_have_much_kept_for_him(world: World, authorization: bytes) -> None:
    async with wire(world) as one:
        head = b"POST /api/batches HTTP/1.1\r\nHost: a\r\n" + authorization + b"Content-Length: 1000000\r\n\r\n"
        await one.send(head)
        assert (await one.reply()).status == 413


async def test_bodies_that_come_in_at_once_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_AT_ONCE", 100_000)
    known = f"Authorization: Bearer {KEY}\r\n".encode()
    head = b"POST /api/batches HTTP/1.1\r\nHost: a\r\n" + known + b"Content-Length: 1000000\r\n\r\n"
    async with AsyncExitStack() as stack:
        many = [await stack.enter_async_context(wire(world)) for _ in range(6)]
        await asyncio.gather(*(one.send(head + b" " * 60_000) for one in many))
        assert 503 in {(await one.reply()).status for one in many}
    async with wire(world) as one:  # what was refused is not counted any more
        await one.send(request("POST", SHIPPED, body=b" " * 60_000)[:-30_000])
        await asyncio.sleep(0.1)
        await one.send(b" " * 30_000)
        assert (await one.reply()).status == 401
