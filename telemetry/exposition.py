"""Everything that Prometheus reads of a process in one answer, and the worker's own port for it."""

import asyncio
from contextlib import suppress

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from telemetry import metrics

PATIENCE = aiohttp.ClientTimeout(total=2)
TRY_AGAIN_AFTER = 5.0  # seconds

log = structlog.stdlib.get_logger("heliograph.metrics")


class Exposition:
    """Our metrics, and those of Temporal's SDK where they can be read at `sdk_url`."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, sdk_url: str | None = None) -> None:
        self._sdk_url = sdk_url

    async def text(self) -> bytes:
        metrics.TASKS.set(len(asyncio.all_tasks()))
        return generate_latest() + await self._sdk()

    async def _sdk(self) -> bytes:
        if self._sdk_url is None:
            return b""
        try:
            async with aiohttp.ClientSession(timeout=PATIENCE) as session, session.get(self._sdk_url) as response:
                return await response.read() if response.status == 200 else b""
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            log.warning("the SDK's metrics cannot be read", error=type(failure).__name__)
            return b""


class MetricsPort:
    """`GET /metrics` on a port of its own, for a process that has no other. Stopped at the end of the block."""

    def __init__(self, host: str, port: int, exposition: Exposition) -> None:
        self._host = host
        self._port = port
        self._exposition = exposition

    async def __aenter__(self) -> None:
        application = web.Application()
        application.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        self._listening = asyncio.create_task(self._listen())

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._runner.cleanup()

    async def _listen(self) -> None:
        """Tries until the port is free: a worker that takes over starts while the old one finishes its sends."""
        while True:
            try:
                await web.TCPSite(self._runner, self._host, self._port).start()
            except OSError as failure:
                log.warning("METRICS_PORT cannot be used yet", port=self._port, error=type(failure).__name__)
                await asyncio.sleep(TRY_AGAIN_AFTER)
            else:
                log.info("metrics", url=f"http://{self._host}:{self._port}/metrics")
                return

    async def _answer(self, _: web.Request) -> web.Response:
        return web.Response(body=await self._exposition.text(), headers={"Content-Type": Exposition.content_type})
