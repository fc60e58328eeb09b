"""The codec server's application: log in, and decode for who has. It answers no page but Temporal's UI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from google.protobuf import json_format
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.api.common.v1 import Payloads

from api.codec.decoding import Decoder
from api.codec.doors import Doors, OfOurs, Operator
from api.codec.operators import SESSION
from api.codec.page import SECURITY_POLICY, login
from api.problems import Problem, install
from api.request_log import RequestLog
from privacy.encryption import KeyRing
from settings import Settings
from store.database import Database
from store.vault import Vault

MAX_BYTES = 4 * 1024 * 1024  # Temporal takes payloads of 2 MB, and the UI asks for several at once, in base64
MAX_LOGIN_BYTES = 4_096
READ_WITHIN = 10.0  # seconds for a body

log = structlog.stdlib.get_logger("heliograph.codec")


def create_app(settings: Settings) -> FastAPI:
    """The application; needs no Temporal, and decodes what it can while the database is away."""
    doors = Doors(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database, ring = Database(settings.database), KeyRing(settings.encryption_keys)
        app.state.decoder = Decoder(ring, Vault(database, ring))
        log.info("serving", url=doors.ours, ui=doors.ui_origin)
        yield
        await database.close()
        log.info("stopped")

    app = FastAPI(title="Heliograph codec server", lifespan=lifespan, openapi_url=None)
    app.state.doors = doors
    install(app)
    _routes(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[doors.ui_origin],
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
        max_age=600,
    )
    app.add_middleware(Unkept)
    app.add_middleware(RequestLog)
    return app


class Unkept:
    """No answer of ours is kept, framed or guessed at by a browser."""

    HEADERS = (
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", SECURITY_POLICY),
        ("Referrer-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.HEADERS:
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, sent)


async def body(request: Request, max_bytes: int) -> bytes:
    """What was sent. Raises Problem 413, and 408 where it does not come."""
    read = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN):
            async for chunk in request.stream():
                read += chunk
                if len(read) > max_bytes:
                    raise Problem(413, "too_large", f"A request may have at most {max_bytes} bytes.")
    except TimeoutError:
        raise Problem(408, "too_slow", f"A request must be here within {READ_WITHIN:g} s.") from None
    return bytes(read)


def _routes(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/decode")
    async def decode(request: Request, who: Operator) -> Response:
        """Temporal's codec server protocol: the same payloads, in clear."""
        asked = payloads_in(await body(request, MAX_BYTES))
        decoder: Decoder = app.state.decoder
        decoded = await decoder.decode(asked.payloads)
        log.info(
            "decoded",
            operator=who,
            payloads=len(decoded.payloads),
            erased=decoded.erased,
            unreadable=decoded.unreadable,
        )
        clear = json_format.MessageToJson(Payloads(payloads=decoded.payloads), indent=None)
        return Response(clear, media_type="application/json")

    @app.post("/encode")
    async def encode(_: Operator) -> None:
        """Not offered: whoever reads need not write, and what operators do goes through the API, which notes it."""
        raise Problem(403, "forbidden", "This server only decodes. Use the API or `heliograph` to change anything.")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("login", 303)

    @app.get("/login")
    async def login_page(request: Request) -> HTMLResponse:
        doors: Doors = app.state.doors
        return HTMLResponse(login(doors.session(request), doors.ui, doors.ours))

    @app.post("/login")
    async def log_in(request: Request, doors: OfOurs) -> Response:
        form = parse_qs((await body(request, MAX_LOGIN_BYTES)).decode(errors="replace"))
        opened = doors.operators.open(form.get("key", [""])[0].strip())
        if opened is None:
            log.warning("wrong operator key")
            return HTMLResponse(login(None, doors.ui, doors.ours, "This is no operator's key."), 401)
        cookie, session = opened
        log.info("logged in", operator=session.operator)
        answer = RedirectResponse("login", 303)
        answer.set_cookie(
            doors.cookie,
            cookie,
            max_age=int(SESSION.total_seconds()),
            secure=doors.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    @app.post("/logout")
    async def log_out(doors: OfOurs) -> RedirectResponse:
        answer = RedirectResponse("login", 303)
        answer.delete_cookie(doors.cookie, secure=doors.secure, httponly=True, samesite="strict")
        return answer


def payloads_in(sent: bytes) -> Payloads:
    """Raises Problem 400, which repeats nothing of what was sent."""
    try:
        return json_format.Parse(sent.decode(), Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError):
        raise Problem(400, "invalid_request", "Send Temporal's Payloads as JSON.") from None
