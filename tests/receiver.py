"""A caller's webhook endpoint: a real HTTP server that checks signatures as the standard says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_c2hvcHMtb3duLXNlY3JldC1mb3ItdGVzdHM="
NEXT_SECRET = "whsec_dGhlLW5leHQtc2VjcmV0LW9mLXRoZS1zaG9w"


@dataclass
class Receiver:
    """What came in, and how it is answered."""

    url: str
    secret: str = SECRET
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)

    def told(self, event_id: str) -> list[dict[str, Any]]:
        return [one for one in self.taken if one["data"]["eventId"] == event_id]

    async def until_told(self, event_id: str, count: int = 1, seconds: float = 15) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(seconds):
                while len(self.told(event_id)) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"told of {event_id}: {self.told(event_id)}") from None
        return self.told(event_id)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.tries.append(request.headers["webhook-id"])
        Webhook(self.secret).verify(body, dict(request.headers))  # raises for a signature that is not ours
        if self.status >= 300:
            return web.Response(status=self.status, headers=self.headers)
        self.taken.append({"id": request.headers["webhook-id"], **json.loads(body)})
        return web.Response(status=self.status)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver(url="")
    app = web.Application()
    app.router.add_post("/hooks", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
