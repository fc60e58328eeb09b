"""HTTP to Twilio for the official client: explicit time-outs, no retry, and headers that are kept.

The official asynchronous client ignores its time-out (twilio-python issue 925), hard-codes the host and drops the
response headers of errors; its `max_retries` would repeat POSTs.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from carrier.errors import CarrierError, NotAccepted, OutcomeUnknown, Refused, ServerError, says
from carrier.watching import watched
from notifications.causes import Answer, answer_of

# Below the idle time after which load balancers close connections: a POST on a closing one has an unknown outcome.
KEEP_ALIVE_SECONDS = 10


class Transport(AsyncHttpClient):  # type: ignore[misc]  # the library has no types
    """Build it inside a running event loop; close it at the end."""

    def __init__(self, base_url: str | None, *, connect_timeout: float, read_timeout: float) -> None:
        """`base_url` replaces scheme and host of every URL; time-outs are in seconds."""
        super().__init__(None, True, None)
        self._base_url = base_url
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=connect_timeout + read_timeout + 1, sock_connect=connect_timeout, sock_read=read_timeout
            ),
            connector=aiohttp.TCPConnector(limit=200, keepalive_timeout=KEEP_ALIVE_SECONDS),
        )

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, one answer of 2xx or 3xx.

        Raises:
            Refused: 4xx but 429 and 408.
            NotAccepted: 429, or no connection was made, so nothing was sent.
            ServerError: 5xx.
            OutcomeUnknown: the connection broke or timed out after the request had begun.
        """
        authorization = {"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}
        with watched(method.upper(), url) as watch:
            response = await self._exchange(
                method, url, params=params, data=data, headers={**(headers or {}), **authorization},
                allow_redirects=allow_redirects,
            )  # fmt: skip
            watch.answered(response.status_code)
            return response

    async def _exchange(self, method: str, url: str, **options: Any) -> Response:
        try:
            async with self._session.request(
                method.upper(),
                self._rewritten(url),
                **options,
            ) as response:
                text = await response.text(errors="replace")
                _raise_for_status(response.status, text, response.headers)
                return Response(response.status, text, dict(response.headers))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as failure:
            raise NotAccepted(f"No connection to Twilio was made ({type(failure).__name__}).") from None
        except TimeoutError:
            raise OutcomeUnknown("Twilio did not answer in time.") from None
        except (aiohttp.ClientError, OSError) as failure:
            raise OutcomeUnknown(f"The connection to Twilio broke ({type(failure).__name__}).") from None

    def _rewritten(self, url: str) -> str:
        if self._base_url is None:
            return url
        parts = urlsplit(url)
        return self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _raise_for_status(status: int, text: str, headers: Mapping[str, str]) -> None:
    """Here and not by the library, whose exceptions come without the headers."""
    if status < 400:
        return
    code = _error_code(text)
    sort: type[CarrierError] = {
        Answer.REFUSED: Refused,
        Answer.NOT_ACCEPTED: NotAccepted,
        Answer.NOT_KNOWN: ServerError if status >= 500 else OutcomeUnknown,
    }[answer_of(status, code)]
    raise sort(
        says(status, code),
        code=code,
        http_status=status,
        request_id=headers.get("Twilio-Request-Id"),
        retry_after=_seconds(headers.get("Retry-After")),
    )


def _error_code(text: str) -> int | None:
    """Twilio's own code in an error body; None where a gateway answered something else."""
    try:
        code = json.loads(text).get("code")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _seconds(retry_after: str | None) -> float | None:
    """RFC 9110, 10.2.3: a number of seconds or an HTTP date. At most a day is believed."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 86_400.0) if math.isfinite(seconds) else None
