"""Status callbacks: form, signature, connection overrides (Twilio, "Webhooks: connection overrides")."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import aiohttp
import yarl


@dataclass(frozen=True)
class Overrides:
    """What the URL's fragment asks for; milliseconds as there, kept in seconds."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    policies: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> "Overrides":
        asked = dict(parse_qsl(urlsplit(url).fragment))

        def seconds(name: str, default: float, most: float) -> float:
            text = asked.get(name, "")
            return min(max(int(text) / 1000, 0.1), most) if text.isdigit() else default

        retries = asked.get("rc", "")
        return cls(
            connect=seconds("ct", 5.0, 10.0),
            read=seconds("rt", 15.0, 15.0),
            total=seconds("tt", 15.0, 15.0),
            retries=min(int(retries), 5) if retries.isdigit() else 1,
            policies=frozenset(asked["rp"].split(",")) if asked.get("rp") else frozenset({"ct"}),
        )

    def retry(self, outcome: str) -> bool:
        """Whether an attempt that ended so (an HTTP status, `ct` or `rt`) is repeated."""
        if outcome.isdigit():
            if int(outcome) < 400:
                return False
            outcome = "4xx" if int(outcome) < 500 else "5xx"
        return "all" in self.policies or outcome in self.policies


def signed_url(url: str) -> str:
    """What is signed: no fragment and no credentials; an explicit port stays."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """base64(HMAC-SHA1(token, URL + every name and value in the order of the names))."""
    text = signed_url(url) + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


async def post(
    session: aiohttp.ClientSession, token: str, url: str, form: Mapping[str, str], *, bad_signature: bool = False
) -> list[str]:
    """Posts one callback, repeats it as the overrides say, and tells how each attempt was answered."""
    overrides = Overrides.of(url)
    headers = {
        "X-Twilio-Signature": signature("not-the-token" if bad_signature else token, url, form),
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        "User-Agent": "TwilioProxy/1.1",
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=overrides.connect, sock_read=overrides.read)
    answers: list[str] = []
    try:
        async with asyncio.timeout(overrides.total):
            for attempt in range(overrides.retries + 1):
                if attempt:
                    await asyncio.sleep(min(0.1 * 2**attempt, 2.0))
                answers.append(await _attempt(session, signed_url(url), form, headers, timeout))
                if not overrides.retry(answers[-1]):
                    break
    except TimeoutError:
        answers.append("tt")
    return answers


async def _attempt(
    session: aiohttp.ClientSession,
    url: str,
    form: Mapping[str, str],
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,
) -> str:
    try:
        exactly = yarl.URL(url, encoded=True)  # as it was signed: escapes stay as they are
        async with session.post(exactly, data=form, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            return str(answer.status)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        return "ct"
    except (aiohttp.ClientError, TimeoutError, OSError):
        return "rt"
