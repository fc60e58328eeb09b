"""One log line per request, with the route and not the path: a path may hold a number."""

import time

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from api.answer_status import AnswerStatus

QUIET = "heliograph.quiet"  # in the scope of a request that needs no line: a crowd must not flood the log too

log = structlog.stdlib.get_logger("heliograph.api")


class RequestLog:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.monotonic()
        status = AnswerStatus(send)
        try:
            return await self._app(scope, receive, status.send)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            quiet = QUIET in scope or route in ("/healthz", "/readyz", "/metrics")
            speak = log.debug if quiet else log.info
            speak(
                "request",
                method=scope["method"],
                route=route,
                status=status.value,
                ms=round((time.monotonic() - started) * 1000, 1),
            )
