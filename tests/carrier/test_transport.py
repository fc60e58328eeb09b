"""What may have happened to a message, by how the connection behaved. Against real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from carrier.create import named
from carrier.errors import CarrierError, NotAccepted, OutcomeUnknown, Refused, ServerError
from carrier.messages import Messages
from notifications.notification import Leg, Message
from tests.drafts import request
from tests.world import free_port, settings_for

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, tmp_path: Path) -> AsyncIterator[Messages]:
    """A Twilio that does with each connection what `answer` does."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = settings_for(tmp_path, twilio_api_base_url=f"http://127.0.0.1:{port}", twilio_read_timeout_seconds=0.3)
    messages = Messages(settings)
    try:
        yield messages
    finally:
        await messages.close()
        server.close()


def http(status: int, body: str = "", headers: str = "") -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        await writer.drain()
        writer.close()

    return answer


async def create(messages: Messages) -> object:
    return await messages.create(Leg(request=request()), Message(to="+15558675310", body="hello"))


async def failure(answer: Answer, tmp_path: Path) -> CarrierError:
    async with answering(answer, tmp_path) as messages:
        with pytest.raises(CarrierError) as raised:
            await create(messages)
    assert "8675310" not in str(raised.value)
    return raised.value


async def test_no_connection_means_not_accepted(tmp_path: Path) -> None:
    messages = Messages(settings_for(tmp_path, twilio_api_base_url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(NotAccepted):
        await create(messages)
    await messages.close()


async def test_no_answer_means_unknown(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.6)
        writer.close()

    assert isinstance(await failure(hang, tmp_path), OutcomeUnknown)


async def test_half_an_answer_means_unknown(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.close()

    assert isinstance(await failure(half, tmp_path), OutcomeUnknown)


async def test_a_closed_connection_means_unknown(tmp_path: Path) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert isinstance(await failure(close, tmp_path), OutcomeUnknown)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"sid": null}', '{"nothing": 1}', "<html>"])
async def test_a_success_that_cannot_be_read_means_unknown(tmp_path: Path, body: str) -> None:
    assert isinstance(await failure(http(201, body), tmp_path), OutcomeUnknown)


@pytest.mark.parametrize("status", [301, 302, 307, 408])
async def test_an_answer_that_is_none_means_unknown(tmp_path: Path, status: int) -> None:
    assert isinstance(await failure(http(status, "", "Location: http://127.0.0.1:1/\r\n"), tmp_path), OutcomeUnknown)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_5xx_means_that_it_may_have_been_sent(tmp_path: Path, status: int) -> None:
    assert isinstance(await failure(http(status, "<html>bad gateway"), tmp_path), ServerError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_4xx_means_refused(tmp_path: Path, status: int) -> None:
    body = '{"code":21211,"message":"The number +15558675310 is not valid"}'
    error = await failure(http(status, body, "Twilio-Request-Id: RQ1\r\n"), tmp_path)
    assert isinstance(error, Refused)
    assert (error.code, error.http_status, error.request_id) == (21211, status, "RQ1")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("Retry-After: 7\r\n", 7.0),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: 999999999\r\n", 86_400.0),
        ("Retry-After: -5\r\n", 0.0),
        ("Retry-After: nan\r\n", None),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0.0),
    ],
)
async def test_429_means_not_accepted_for_so_long(tmp_path: Path, header: str, seconds: float | None) -> None:
    error = await failure(http(429, '{"code":20429}', header), tmp_path)
    assert isinstance(error, NotAccepted)
    assert error.retry_after == seconds


async def test_no_request_is_ever_repeated_by_the_client(tmp_path: Path) -> None:
    seen = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        await http(503)(reader, writer)

    await failure(count, tmp_path)
    assert seen == 1


def test_the_callback_url_names_the_event_and_a_later_leg() -> None:
    event = request(event_id="order:1@x")
    assert named("https://sms.example.com/here", Leg(request=event)) == "https://sms.example.com/here?eventId=order:1@x"
    assert named("https://sms.example.com/here", Leg(request=event, number=2)).endswith("?eventId=order:1@x&leg=2")
