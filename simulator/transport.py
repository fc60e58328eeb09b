"""Cutting a connection without an answer, as a network does."""

import contextlib
import socket
import struct
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send


class ExposeTransport:
    """Puts uvicorn's transport into the scope: ASGI has no word for a reset."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["simulator.transport"] = getattr(getattr(receive, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


def abort(request: Request) -> None:
    """Closes the request's connection with a TCP reset."""
    transport: Any = request.scope.get("simulator.transport")
    if transport is None:
        raise RuntimeError("no transport: the simulator runs under uvicorn")
    if transport.is_closing():
        return  # the client went first; its descriptor may be another connection's by now
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        # Lingering for no time at all makes close() send RST instead of FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
