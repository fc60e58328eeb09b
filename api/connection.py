"""What one connection may take: how long the head of a request may come in, and how large it may be.

uvicorn 0.54 waits for a head for ever and takes headers without end: a few hundred connections that send a byte now and
then would hold the process's files, and one its memory.
"""

import asyncio
import http
from asyncio.events import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import Problem, answer

HEAD_WITHIN = 10.0  # seconds from the first byte of a request to the end of its headers
REST_WITHIN = 5.0  # seconds for what is left of a body that was answered without being read
ANSWER_READ_WITHIN = 30.0  # seconds
MAX_HEAD_BYTES = 32_768
MAX_HEADERS = 100

TOO_LATE = Problem(408, "too_slow", "The request did not come in time.")
TOO_LARGE = Problem(431, "too_large", f"The head of a request may have {MAX_HEAD_BYTES} bytes, {MAX_HEADERS} headers.")
NOT_HTTP = Problem(400, "invalid_request", "This is not HTTP.")


class Connection(HttpToolsProtocol):
    """uvicorn's, with deadlines and a limit for heads. It answers by itself only what reaches no route."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._awaits_head = True
        self._fed = 0  # bytes of a head that is not complete
        self._refusal = NOT_HTTP
        self._deadline: TimerHandle | None = None
        self._answer_deadline: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Load balancers open some ahead of need; those are as idle as the ones that they keep.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._answer_in_time()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._awaits_head:
            self._fed += len(data)
            self._within(HEAD_WITHIN)
        super().data_received(data)
        if self._awaits_head and self._fed > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        self._within(HEAD_WITHIN)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refusal = TOO_LARGE
            raise ValueError  # which makes the parser stop
        if self.parser.get_http_version() not in ("1.0", "1.1"):  # the parser knows 0.9 and 2.0 by name
            raise ValueError
        self._awaits_head, self._fed = False, 0
        self._in_time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._awaits_head = True
        self._in_time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self._awaits_head and self.cycle.response_complete:
            self._within(REST_WITHIN)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal)

    def pause_writing(self) -> None:
        self._answer_deadline = self.loop.call_later(ANSWER_READ_WITHIN, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._answer_in_time()
        super().resume_writing()

    def _within(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._refuse, TOO_LATE)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _answer_in_time(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None

    def _refuse(self, problem: Problem) -> None:
        """Hangs up; with an answer, unless one to an earlier request is on its way or was given already."""
        if self.transport.is_closing():
            return
        if self._awaits_head and (self.cycle is None or self.cycle.response_complete):
            response = answer(problem)
            head = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
            status = b"HTTP/1.1 %d %s\r\n" % (problem.status, http.HTTPStatus(problem.status).phrase.encode())
            self.transport.write(status + head + b"connection: close\r\n\r\n" + bytes(response.body))
        self.transport.close()
