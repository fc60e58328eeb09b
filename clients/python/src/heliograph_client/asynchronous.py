"""Heliograph's API for asyncio."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

import httpx

from heliograph_client import calls, models, transport
from heliograph_client.answers import failure_of, json_of, no_answer
from heliograph_client.calls import Call
from heliograph_client.errors import ApiError, UnexpectedAnswer, Unreachable
from heliograph_client.retries import Repeat, Retries, Tries
from heliograph_client.stream import News, Story
from heliograph_client.wire import Event

Answer = TypeVar("Answer")

log = logging.getLogger("heliograph_client")


class AsyncHeliograph:
    """The API under `base_url`, for the caller whose key it is. Use it in a `with`, or close it.

    `timeout` is in seconds, for one attempt; `retries` says how often a call is tried. `http` is a client of your own,
    for proxies or certificates of your own; you close it yourself.

    Every method raises ApiError: Unauthorized for a wrong key, MissingScope for one that may not, TooManyRequests,
    Unavailable where Heliograph cannot be reached or cannot do it now; and UnexpectedAnswer where something else
    answers. The docstrings name the further ones, and what is tried again.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Raises ValueError for a base URL or a key that cannot be one."""
        self._base_url = transport.base(base_url)
        self._headers = transport.headers(key)
        self._timeout = timeout
        self._retries = retries or Retries()
        self._mine = http is None
        self._http = http or httpx.AsyncClient(limits=transport.LIMITS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    async def close(self) -> None:
        """Closes the connections."""
        if self._mine:
            await self._http.aclose()

    @overload
    async def send(self, event: Event, *, wait: int = 0) -> models.Accepted: ...

    @overload
    async def send(self, event: str, *, wait: int = 0, **fields: Any) -> models.Accepted: ...

    async def send(self, event: Event | str, *, wait: int = 0, **fields: Any) -> models.Accepted:
        """Posts an event; a kind that this version has no class for by its name and fields.

        With `wait`, 1 to 60 seconds, the answer comes when Twilio has accepted or refused.

        Tried again after no answer, 429, 502, 503 and 504: the event's ID is the key, so that a second post of it is
        answered with what came of the first, and texts nobody. `duplicate` may therefore tell of an attempt of this
        very call.

        Raises InvalidRequest; EventIdReused for other content under the same ID; Refused, with `wait`, where Twilio
        has refused the text.
        """
        return await self._made(calls.send(event, fields, wait))

    @overload
    async def preview(self, event: Event) -> models.Previewed: ...

    @overload
    async def preview(self, event: str, **fields: Any) -> models.Previewed: ...

    async def preview(self, event: Event | str, **fields: Any) -> models.Previewed:
        """What would become of an event, were it posted now: its text, and whether it would be sent, held or refused.

        Nothing is sent or kept, so that it is tried again like a question. Raises InvalidRequest.
        """
        return await self._made(calls.preview(event, fields))

    async def batch(self, events: Iterable[Event | Mapping[str, Any]]) -> models.BatchAnswer:
        """Posts up to 1,000 events of any kinds; those without a class here as mappings with their `kind`.

        Each is answered as if it had come alone, in the order of `events`: look at every `http_status`. What was
        answered 503 may be posted again.

        Tried again like `send`, and as safely. Raises InvalidRequest when the batch itself is wrong.
        """
        return await self._made(calls.batch(events))

    async def notification(self, event_id: str) -> models.NotificationStory:
        """What became of an event. A question: tried again after no answer, 429, 502, 503 and 504. Raises NotFound."""
        return await self._made(calls.notification(event_id))

    async def message(self, sid: str) -> models.NotificationStory:
        """The same, by Twilio's Message SID or Call SID. A question: tried again. Raises NotFound, InvalidRequest."""
        return await self._made(calls.message(sid))

    async def notifications(self, phone: str, *, limit: int = 50) -> tuple[models.Summary, ...]:
        """What was sent to a phone, in E.164, the latest first. A question: tried again. Raises InvalidRequest."""
        return await self._made(calls.notifications(phone, limit))

    async def follow(self, event_id: str) -> AsyncIterator[News]:
        """The story as it happens: a TimelineEntry for each thing that happened, a Summary when the status changes.

        Ends a few seconds after the notification has. A connection that breaks is made anew, and the story goes on
        where it was: nothing is told twice. Raises NotFound, and Unavailable once `retries` are used up without news.
        """
        story, tries = Story(), None
        while True:
            failure: ApiError | None = None
            story.connected()
            request = self._request(calls.follow(event_id, story.last_id))
            try:
                response = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    if (failure := await self._refusal(response)) is None:
                        async for chunk in response.aiter_bytes():
                            told = story.take(chunk)
                            if told or chunk.startswith(b":"):  # a sign of life, for when there is nothing to tell
                                tries = None
                            for news in told:
                                yield news
                finally:
                    await response.aclose()
            except httpx.TransportError as error:
                failure = no_answer(error)
            if failure is None and story.ended:
                return
            tries = tries or Tries(self._retries)
            await self._pause(tries, failure or _CUT, Repeat.ALWAYS, request)

    async def cancel(self, event_id: str) -> models.Canceled:
        """Drops what is still held back of an event.

        Tried again like a question: canceling twice is canceling once. Raises NotFound; TooLate when it is being sent,
        or has ended.
        """
        return await self._made(calls.cancel(event_id))

    async def reschedule(
        self,
        event_id: str,
        *,
        starts_at: datetime | None = None,
        remind_before: Sequence[timedelta | str] | None = None,
        time_zone: str | None = None,
    ) -> models.Rescheduled:
        """Gives what is held back of an event other times; what is None stays.

        Tried again like a question: the same times twice are the same times. Raises InvalidRequest, NotFound, TooLate;
        Conflict for a kind without times of its own.
        """
        return await self._made(calls.reschedule(event_id, starts_at, remind_before, time_zone))

    async def acknowledge(self, event_id: str) -> models.Acknowledged:
        """Somebody takes care of an alert: its ladder, and that of its whole incident, stops.

        Tried again like a question: doing it twice is doing it once. Raises NotFound; TooLate once it was resolved.
        """
        return await self._made(calls.acknowledge(event_id))

    async def resend(self, event_id: str, *, reason: str, force: bool = False) -> models.Resent:
        """Sends a text again, as another leg under the same event.

        Two of them may be two texts: tried again only where no connection was made, and after 429. After any other
        Unavailable, look at the notification before you order it once more.

        Raises NotFound, InvalidRequest; Conflict where it would not be sent without `force`, or not at all.
        """
        return await self._made(calls.resend(event_id, reason, force))

    async def consent(self, phone: str) -> models.Standing:
        """What a recipient has agreed to, and whether he may be texted. A question: tried again.

        Raises InvalidRequest.
        """
        return await self._made(calls.consent(phone))

    async def set_consent(
        self,
        phone: str,
        status: Literal["granted", "revoked", "opted_out", "opted_in"],
        *,
        source: str,
        purpose: str | None = None,
        at: datetime | None = None,
        wording: str | None = None,
        expires_at: datetime | None = None,
    ) -> models.Standing:
        """Records what a recipient has agreed to, or taken back; `purpose` is needed with `granted`.

        Tried again like a question: it is sent with its moment (`at`, else now), and the same words for the same
        moment are one record. Raises InvalidRequest.
        """
        said = {"status": status, "source": source, "purpose": purpose, "wording": wording, "expires_at": expires_at}
        return await self._made(calls.set_consent(phone, at, **said))

    async def forget(self, phone: str) -> models.Forgotten:
        """Destroys what is known of a recipient. His opt-out stays.

        Tried again like a question: what is destroyed stays destroyed. Raises InvalidRequest.
        """
        return await self._made(calls.forget(phone))

    async def verify_start(
        self,
        phone: str,
        *,
        channel: Literal["sms", "call", "whatsapp"] = "sms",
        locale: str | None = None,
        region: str | None = None,
    ) -> models.Started:
        """Has a login code sent.

        Two of them are two texts: tried again only where nothing was done, that is where no connection was made, after
        429, and after 503 `overloaded` or `unavailable`. After OutcomeUnknown or Unreachable let the person ask for
        another code.

        Raises InvalidRequest, Forbidden, Refused.
        """
        return await self._made(calls.verify_start(phone=phone, channel=channel, locale=locale, region=region))

    async def verify_check(self, phone: str, code: str, *, region: str | None = None) -> models.Checked:
        """Whether this is the code. A wrong one is no error: `approved` is False.

        Each counts, and five are allowed: tried again only where nothing was done, like `verify_start`.

        Raises InvalidRequest, VerificationEnded, Refused.
        """
        return await self._made(calls.verify_check(phone=phone, code=code, region=region))

    async def _made(self, call: Call[Answer]) -> Answer:
        tries, request = Tries(self._retries), self._request(call)
        while True:
            try:
                return call.read(json_of(await self._http.send(request, follow_redirects=False)))
            except httpx.DecodingError:
                raise UnexpectedAnswer("the answer cannot be unpacked") from None
            except httpx.TransportError as error:
                failure: ApiError = no_answer(error)
            except ApiError as problem:
                failure = problem
            await self._pause(tries, failure, call.repeat, request)

    async def _refusal(self, response: httpx.Response) -> ApiError | None:
        """Why a story is not told. Raises UnexpectedAnswer."""
        if response.headers.get("Content-Type", "").startswith("text/event-stream"):
            return None
        await response.aread()
        problem = failure_of(response)
        if isinstance(problem, UnexpectedAnswer):
            raise problem
        return problem

    def _request(self, call: Call[Any]) -> httpx.Request:
        return transport.request(self._base_url, self._headers, call, self._timeout)

    async def _pause(self, tries: Tries, failure: ApiError, repeat: Repeat, request: httpx.Request) -> None:
        """Raises the failure where it is the last."""
        pause = tries.pause(failure, repeat)
        if pause is None:
            raise failure
        log.info("%s %s: %s; again in %.1f s", request.method, request.url, failure.error, pause)
        await asyncio.sleep(pause)


_CUT = Unreachable(None, "no_answer", "The connection was closed before the story ended.")
