"""Keeps web pages that a developer has open in his browser away from an API that asks nobody for a key."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem, answer
from settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NOT_FROM_THERE = Problem(403, "forbidden", "Without API_KEYS only this machine's own names and PUBLIC_BASE_URL's pass.")


class LocalOnly:
    """Refuses requests by any other name: a page can give its own name this machine's address (DNS rebinding)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = LOOPBACK | {urlsplit(settings.base_url).hostname}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._name(Headers(scope=scope)) not in self._names:
            return await answer(NOT_FROM_THERE)(scope, receive, send)
        return await self._app(scope, receive, send)

    def _name(self, headers: Headers) -> str | None:
        try:
            return urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            return None
