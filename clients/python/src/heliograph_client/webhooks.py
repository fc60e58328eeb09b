"""Webhooks from Heliograph: is one real, and what does it tell?"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from heliograph_client.errors import UnexpectedAnswer, WebhookInvalid
from heliograph_client.wire import read
from heliograph_client.words import DeliveryStatus

OPERATORS = ("notification.escalated", "notification.recovered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A Twilio error: what it means, who acts, what to do."""

    says: str
    do: str
    acts: str
    url: str
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something was told. Answer 2xx as soon as it is kept; it comes again until then."""

    id: str
    """The same in every repeat: keep it, and do nothing for one that was there before."""
    type: str
    """`notification.delivered` for example; see the subclasses."""
    timestamp: datetime
    """When it was said first."""
    data: Mapping[str, Any] = field(repr=False)
    """All of it, as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerWebhook(WebhookEvent):
    """How an event of yours has ended: `notification.` and `delivered`, `undelivered`, `failed`, `expired`,
    `suppressed`, `canceled`, `unknown` or `overdue`."""

    event_id: str
    kind: str
    leg: int
    """2 for the second text under the event, and so on."""
    status: DeliveryStatus
    sid: str | None = None
    error_code: int | None = None
    escalated: bool = False
    """Whether operators were told."""
    error: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorWebhook(WebhookEvent):
    """What operators are to know: `notification.escalated`, and `notification.recovered` when it has settled itself."""

    event_id: str
    kind: str
    caller: str
    reason: str
    status: DeliveryStatus
    what: str
    do: str
    workflow: str
    """Where it is in Temporal's UI."""
    accepted_at: datetime
    deliver_within_seconds: int
    masked_phone: str
    country: str
    sid: str | None = None
    operator_note: str | None = field(default=None, repr=False)
    error: Cause | None = None


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance: timedelta = timedelta(minutes=5),
) -> WebhookEvent:
    """What a webhook tells, once it is certain that Heliograph has sent it (https://www.standardwebhooks.com).

    `body` are the bytes as they came, before anything has parsed them. `secrets` are yours, each `whsec_…`: give the
    old and the new one while one is changed. `tolerance` is how far the two clocks may be apart.

    Returns a CallerWebhook or an OperatorWebhook; for types that this version does not know, the bare WebhookEvent.
    Raises WebhookInvalid for a forged, changed or old one, ValueError for a secret that is none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("give at least one secret")
    told = {name.lower(): value for name, value in headers.items()}
    try:
        webhook_id, sent_at, signatures = (told[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise WebhookInvalid(f"the header {missing} is missing") from None
    _check_time(sent_at, tolerance)
    _check_signature(f"{webhook_id}.{sent_at}.".encode(errors="replace") + body, signatures, keys)
    try:
        return _event(webhook_id, json.loads(body))
    except (KeyError, TypeError, ValueError, UnexpectedAnswer):
        raise WebhookInvalid("it is signed, and not what Heliograph writes") from None


def _check_time(sent_at: str, tolerance: timedelta) -> None:
    if not (sent_at.isascii() and sent_at.isdigit()):
        raise WebhookInvalid("webhook-timestamp is no number of seconds")
    if abs(time.time() - int(sent_at[:15])) > tolerance.total_seconds():
        raise WebhookInvalid("it was signed too long ago, or one of the two clocks is wrong")


def _check_signature(signed: bytes, signatures: str, keys: list[bytes]) -> None:
    expected = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    for signature in signatures.split():
        version, _, value = signature.partition(",")
        given = _decoded(value)
        if version == "v1" and given is not None and any(hmac.compare_digest(given, one) for one in expected):
            return
    raise WebhookInvalid("none of its signatures is right: is the secret, and is the body as it came?")


def _key(secret: str) -> bytes:
    encoded = secret.strip().removeprefix("whsec_")
    key = _decoded(encoded + "=" * (-len(encoded) % 4))
    if not key:
        raise ValueError("a secret must be whsec_ and base64")
    return key


def _decoded(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _event(webhook_id: str, body: Any) -> WebhookEvent:
    data = body["data"]
    about = {"id": webhook_id, "type": str(body["type"]), "timestamp": body["timestamp"], "data": data}
    if not about["type"].startswith("notification."):
        return read(WebhookEvent, about)
    if about["type"] not in OPERATORS:
        return read(CallerWebhook, data | about)
    recipient = {"maskedPhone": data["recipient"]["masked"], "country": data["recipient"]["country"]}
    return read(OperatorWebhook, data | recipient | about)
