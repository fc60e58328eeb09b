"""How large a request may be, how long its body may take to come, and how much of all may come at once."""

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import presented
from api.problems import Problem, answer

BODY_WITHIN = 10.0  # seconds
BYTES_PER_SECOND = 65_536  # of a body so large that it takes longer
MAX_AT_ONCE = 67_108_864  # bytes of all bodies that are coming in

TOO_SLOW = Problem(408, "too_slow", "The body did not come in time. Nothing was done.", headers={"Connection": "close"})
TOO_MUCH = Problem(503, "unavailable", "Too much is coming in. Nothing was done.", headers={"Retry-After": "5"})


class BodyLimit:
    """Answers 413 as soon as a body is known to be too large, without reading the rest, and 408 when it trickles."""

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int], knows: Callable[[str], bool]) -> None:
        """`larger` are the limits of paths that may take more, from those whose key it `knows`."""
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger
        self._knows = knows
        self._coming_in = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = bytearray()
        try:
            refusal = await self._read(scope, receive, body)
        except _HungUp:
            return None
        finally:
            self._coming_in -= len(body)
        if refusal is not None:
            return await answer(refusal)(scope, receive, send)
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return await self._app(scope, replay, send)

    def _limit(self, scope: Scope) -> int:
        larger = self._larger.get(scope["path"])
        if larger is None:
            return self._max_bytes
        # Who has no key cannot have so much kept in memory for him.
        return max(self._max_bytes, larger) if self._knows(presented(scope)) else self._max_bytes

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> Problem | None:
        """Why it is not taken. Raises _HungUp."""
        max_bytes = self._limit(scope)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > max_bytes:
            return _too_large(max_bytes)
        try:
            async with asyncio.timeout(BODY_WITHIN) as deadline:
                began = asyncio.get_running_loop().time()
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _HungUp
                    part = message.get("body", b"")
                    body += part
                    self._coming_in += len(part)
                    if len(body) > max_bytes:
                        return _too_large(max_bytes)
                    if not message.get("more_body", False):
                        return None
                    if self._coming_in > MAX_AT_ONCE:
                        return TOO_MUCH
                    deadline.reschedule(began + BODY_WITHIN + len(body) / BYTES_PER_SECOND)
        except TimeoutError:
            return TOO_SLOW


class _HungUp(Exception):
    pass


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "too_large", f"A request may have at most {max_bytes} bytes.")
