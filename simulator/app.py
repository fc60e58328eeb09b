"""The simulator's HTTP server, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response

from simulator import calls, control, inbound, operators, rest, verify
from simulator.config import SimulatorConfig
from simulator.errors import NotFound, TwilioError
from simulator.guard import Guard
from simulator.network import Network
from simulator.store import Store
from simulator.transport import ExposeTransport
from simulator.voice import Voice

PAGE = Path(__file__).parent / "phones.html"


def create_simulator(config: SimulatorConfig) -> FastAPI:
    """The application; its state lives as long as its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = Store(config.database)
        app.state.network = Network(config, app.state.store)
        app.state.voice = Voice(config, app.state.store, app.state.network)
        app.state.network.resume()
        app.state.voice.resume()
        yield
        await app.state.network.close()
        app.state.store.close()

    app = FastAPI(title="Twilio simulator", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.config = config
    app.state.desk = operators.Desk(config.operations_webhook_secret)
    app.state.verifications = verify.Verifications()
    app.state.stopping = asyncio.Event()
    for part in (rest, calls, verify, control, inbound, operators):
        app.include_router(part.router)
    app.add_middleware(ExposeTransport)
    app.add_middleware(Guard)

    @app.exception_handler(TwilioError)
    async def twilio_error(_: Request, error: TwilioError) -> Response:
        return rest.failed(error)

    @app.exception_handler(404)
    async def not_found(request: Request, _: Exception) -> Response:
        return rest.failed(NotFound(request.url.path))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    async def phones() -> FileResponse:
        return FileResponse(PAGE, media_type="text/html")

    return app
