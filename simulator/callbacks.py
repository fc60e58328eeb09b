"""Requests to the application: signature, connection overrides (Twilio, "Webhooks: connection overrides")."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import yarl

from simulator.message import CallbackRecord
from simulator.scenario import Callbacks

LARGEST = 64 * 1024  # bytes of an answer that are read; Twilio refuses more (11750)


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


@dataclass(frozen=True)
class Exchange:
    """How each attempt was answered (an HTTP status, `ct`, `rt` or `tt`), and what the last answer held."""

    answers: list[str]
    type: str = ""
    body: str = ""

    @property
    def taken(self) -> bool:
        return self.answers[-1].startswith("2")


async def deliver(
    session: aiohttp.ClientSession,
    token: str,
    url: str,
    form: Mapping[str, str],
    record: CallbackRecord,
    knobs: Callbacks,
    *,
    method: str = "POST",
    wait: float = 0.0,
) -> None:
    """One status callback as the scenario has it; what became of it is put into the record."""
    if knobs.lose == "all" or record.status in knobs.lose:
        record.lost = True
        return
    await asyncio.sleep(knobs.delay + wait)
    for _ in range(knobs.repeat):
        told = await request(session, token, url, form, method=method, bad_signature=knobs.bad_signature)
        record.answers += told.answers


async def request(
    session: aiohttp.ClientSession,
    token: str,
    url: str,
    form: Mapping[str, str],
    *,
    method: str = "POST",
    bad_signature: bool = False,
) -> Exchange:
    """Asks once, signed, and again as the overrides say. With GET the parameters go into the query."""
    overrides = Overrides.of(url)
    url = signed_url(url)
    if method == "GET":
        url += ("&" if urlsplit(url).query else "?") + urlencode(form)
        form = {}
    headers = {
        "X-Twilio-Signature": signature("not-the-token" if bad_signature else token, url, form),
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        "User-Agent": "TwilioProxy/1.1",
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=overrides.connect, sock_read=overrides.read)
    exactly = yarl.URL(url, encoded=True)  # as it was signed: escapes stay as they are
    answers: list[str] = []
    last = Exchange([])
    try:
        async with asyncio.timeout(overrides.total):
            for attempt in range(overrides.retries + 1):
                if attempt:
                    await asyncio.sleep(min(0.1 * 2**attempt, 2.0))
                ask = session.request(
                    method, exactly, data=form or None, headers=headers, timeout=timeout, allow_redirects=False
                )
                last = await _attempt(ask)
                answers += last.answers
                if not overrides.retry(answers[-1]):
                    break
    except TimeoutError:
        return Exchange([*answers, "tt"])
    return Exchange(answers, last.type, last.body)


async def _attempt(ask: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> Exchange:
    try:
        async with ask as answer:
            body = await answer.content.read(LARGEST)
            return Exchange([str(answer.status)], answer.content_type, body.decode(errors="replace"))
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        return Exchange(["ct"])
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Exchange(["rt"])
