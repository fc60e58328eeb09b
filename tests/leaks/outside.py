"""What lies outside: the webhooks of operators and callers, and a Twilio that answers nonsense now and then."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL


@dataclass
class Nonsense:
    """What a request to create a message meets in place of Twilio's answer; `{to}` is the number."""

    status: int
    body: str
    type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Told:
    """A webhook that came in."""

    headers: str
    body: str


class Outside:
    """One server on this machine: `/operators`, `/callers`, and everything else handed on to the simulator."""

    def __init__(self, simulator: str) -> None:
        self._simulator = simulator
        self.nonsense: dict[str, Nonsense] = {}
        self.operators: list[Told] = []
        self.callers: list[Told] = []
        self.refuse_next = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Outside"]:
        app = web.Application()
        app.router.add_post("/operators", self._operators)
        app.router.add_post("/callers", self._callers)
        app.router.add_route("*", "/{path:.*}", self._twilio)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _operators(self, request: web.Request) -> web.Response:
        if self.refuse_next:
            self.refuse_next -= 1
            return web.Response(status=500, text=f"cannot take {await request.text()}")
        self.operators.append(await _told(request))
        return web.Response(status=204)

    async def _callers(self, request: web.Request) -> web.Response:
        self.callers.append(await _told(request))
        return web.Response(status=204)

    async def _twilio(self, request: web.Request) -> web.StreamResponse:
        to = str((await request.post()).get("To", ""))
        if request.method == "POST" and (nonsense := self.nonsense.get(to)) is not None:
            return web.Response(
                status=nonsense.status,
                text=nonsense.body.format(to=to),
                content_type=nonsense.type,
                headers=nonsense.headers,
            )
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        try:
            async with self._session.request(
                request.method,
                URL(self._simulator + request.raw_path, encoded=True),
                data=await request.read(),
                headers=headers,
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name not in _HOPS}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except aiohttp.ClientError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)  # into a connection that is gone


_HOPS = ("Content-Length", "Transfer-Encoding", "Connection")


async def _told(request: web.Request) -> Told:
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return Told(headers, await request.text())
