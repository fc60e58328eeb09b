"""The line between worker and Twilio, which can be cut; and the operators' desk, which is never killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Cut(Enum):
    """How the line is cut."""

    NONE = "not at all"
    BEFORE = "before the request gets through"
    AFTER = "after the request, before the answer"


class Line:
    """A TCP proxy to a port of this machine; to several as a load balancer does, which skips those that are down."""

    def __init__(self, *targets: int) -> None:
        self._targets = list(targets)
        self.cut = Cut.NONE
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Line"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._targets.append(self._targets.pop(0))
        for target in self._targets:
            with suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
                break
        else:
            writer.transport.abort()
            return
        ways = (
            asyncio.create_task(self._pass_on(reader, there_writer, Cut.BEFORE)),
            asyncio.create_task(self._pass_on(there_reader, writer, Cut.AFTER)),
        )
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, there_writer):
            end.transport.abort() if self.cut is not Cut.NONE else end.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self.cut is cut:
                    return
                writer.write(data)
                await writer.drain()


class OperatorsDesk:
    """Takes signed webhooks and keeps what they say."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self.notices: dict[str, list[str]] = {}
        self.forged = 0
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["OperatorsDesk"]:
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        try:
            told = self._webhook.verify(await request.text(), dict(request.headers))
        except WebhookVerificationError:
            self.forged += 1
            return web.Response(status=401)
        return web.Response(status=self.keep(told))

    def keep(self, told: dict[str, Any]) -> int:
        """The HTTP status of the answer."""
        reasons = self.notices.setdefault(told["data"]["eventId"], [])
        if told["data"]["reason"] not in reasons:
            reasons.append(told["data"]["reason"])
        return 204
