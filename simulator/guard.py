"""Keeps web pages that a developer has open in his browser away from the simulator on his machine."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """Refuses names that are not this machine's (DNS rebinding) and what other sites' pages send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _ours(Headers(scope=scope)):
            return await PlainTextResponse("Not from there.", 403)(scope, receive, send)
        return await self._app(scope, receive, send)


def _ours(headers: Headers) -> bool:
    try:
        host = urlsplit(f"//{headers.get('host', '')}")
    except ValueError:
        return False
    origin = headers.get("origin")
    return host.hostname in LOOPBACK and origin in (None, f"http://{headers['host']}")
