"""Bytes on a socket, for what no HTTP client would send."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from twilio.request_validator import RequestValidator

from settings import SIMULATOR_ACCOUNT_SID, SIMULATOR_AUTH_TOKEN
from tests.world import World

CALLBACK = "/twilio/status-callback"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; status 0 where the server hung up without one."""

    status: int
    headers: dict[str, str]
    body: bytes


HUNG_UP = Reply(0, {}, b"")


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Some of it may be refused: the server may have hung up."""
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def reply(self, *, within: float = 5) -> Reply:
        """The next answer. Raises TimeoutError: the server lets the client wait for ever."""
        async with asyncio.timeout(within):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
                status, _, rest = head.decode("latin-1").partition("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in rest.split("\r\n"))
                }
                body = await self._reader.readexactly(int(headers.get("content-length", "0")))
            except (asyncio.IncompleteReadError, ConnectionError):
                return HUNG_UP
        assert re.match(r"HTTP/1\.1 \d{3} ", status), status
        return Reply(int(status.split(" ")[1]), headers, body)

    async def ended(self, *, within: float = 5) -> bool:
        """Whether the server has hung up; what it still says is skipped."""
        try:
            async with asyncio.timeout(within):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def wire(world: World, port: int | None = None) -> AsyncIterator[Wire]:
    one = Wire(*await asyncio.open_connection("127.0.0.1", port or world.settings.port))
    try:
        yield one
    finally:
        await one.close()


async def ask(world: World, data: bytes) -> Reply:
    async with wire(world) as one:
        await one.send(data)
        return await one.reply()


def request(method: str, path: str, *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    """A request with a Host, and a Content-Length where one is not left out."""
    lines = [f"{method} {path} HTTP/1.1", "Host: api.test", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "surrogateescape") + b"\r\n\r\n" + body


def signed(world: World, path: str, form: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Twilio's signature over the URL that it was given, and the form that it comes with."""
    form = {"AccountSid": SIMULATOR_ACCOUNT_SID, **form}
    return RequestValidator(SIMULATOR_AUTH_TOKEN).compute_signature(world.settings.base_url + path, form), form
