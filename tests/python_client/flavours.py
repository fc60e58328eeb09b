"""Both clients, called alike; and what may lie between them and the API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp
from aiohttp import web

from heliograph_client import AsyncHeliograph, Heliograph, OrderShipped, Retries
from tests.world import KEY, World, free_port

FLAVOURS = ("asynchronous", "synchronous")
QUICK = Retries(attempts=4, within=10, first=0.05, longest=0.2)


class Client:
    """Every method is awaited; the synchronous client works in a thread meanwhile."""

    def __init__(self, flavour: str, url: str, key: str | None = KEY, **options: Any) -> None:
        self._is_asynchronous = flavour == "asynchronous"
        self._client = (AsyncHeliograph if self._is_asynchronous else Heliograph)(
            url, key, **{"retries": QUICK, **options}
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        if self._is_asynchronous:
            return method
        return lambda *given, **named: asyncio.to_thread(method, *given, **named)

    async def follow(self, event_id: str) -> list[Any]:
        """All that there is to tell."""
        if self._is_asynchronous:
            return [news async for news in self._client.follow(event_id)]
        return await asyncio.to_thread(lambda: list(self._client.follow(event_id)))


def shipped(world: World, **fields: Any) -> OrderShipped:
    """An event of its own, to a phone of its own."""
    event = world.event()
    world.posted.append(event["eventId"])
    given = {"event_id": event["eventId"], "phone": event["phone"], "order_id": event["orderId"]}
    return OrderShipped(**{**given, "consent_at": datetime.fromisoformat(event["consentAt"]), **fields})


@dataclass
class Line:
    """A line to the API that fails as it is told to, one request after the other; then it is a good one."""

    api: str
    url: str
    plan: list[str] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    """When each request came in."""
    bodies: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def carry(self, request: web.Request) -> web.StreamResponse:
        self.tries.append(asyncio.get_running_loop().time())
        self.bodies.append(await request.read())
        fault = self.plan.pop(0) if self.plan else "none"
        if fault == "drop":
            return self._hang_up(request)
        if fault == "stall":
            await asyncio.sleep(3)
            return self._hang_up(request)
        if fault == "gateway":
            return web.Response(status=502, text="<h1>Bad Gateway</h1>", headers=self.headers)
        if fault == "strange":
            return web.Response(text="<h1>Welcome to nginx!</h1>")
        if fault == "missing":
            return web.Response(status=404, text="<h1>Not found</h1>")
        if fault[0].isdigit():
            status, error = fault.split(" ")
            problem = {"status": int(status), "error": error, "detail": "Not now.", "details": []}
            return web.json_response(
                problem, status=int(status), headers=self.headers, content_type="application/problem+json"
            )
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with aiohttp.ClientSession() as session:
            target = session.request(
                request.method, f"{self.api}{request.raw_path}", data=self.bodies[-1], headers=headers
            )
            async with target as answer:
                if fault == "lose":  # it is taken, and nobody hears of it
                    await answer.read()
                    return self._hang_up(request)
                return await self._pass_on(request, answer, fault)

    async def _pass_on(self, request: web.Request, answer: aiohttp.ClientResponse, fault: str) -> web.StreamResponse:
        told = {name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers}
        response = web.StreamResponse(status=answer.status, headers=told)
        await response.prepare(request)
        carried = 0
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
            carried += len(chunk)
            if fault == "cut" and carried > 200:
                await response.write(chunk[:17])  # in the middle of a word
                return self._hang_up(request)
        return response

    def _hang_up(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def line_to(world: World, port: int | None = None) -> AsyncIterator[Line]:
    """A line to a world's API, at `port` where one is named."""
    port = port or free_port()
    line = Line(f"http://127.0.0.1:{world.settings.port}", f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", line.carry)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield line
    finally:
        await runner.cleanup()
