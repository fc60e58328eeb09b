"""A request as the API would draft it, for tests that begin behind it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.notification import NotificationRequest, Recipient
from notifications.policy import Policy, Purpose, Rung


def recipient(phone: str = "+15558675310") -> Recipient:
    return Recipient(phone=phone, masked=f"***{phone[-4:]}", country="US", hash=phone[-4:] * 8)


def request(phone: str = "+15558675310", *, policy: dict[str, Any] | None = None, **fields: Any) -> NotificationRequest:
    now = datetime.now(UTC)
    rules = {
        "purpose": Purpose.ORDER_UPDATES,
        "deliver_within": timedelta(minutes=10),
        "stale_after": timedelta(hours=1),
        "ladder": (Rung.tell_operators(),),
    }
    values = {
        "event_id": "event-1",
        "kind": "order-shipped",
        "caller": "shop",
        "recipient": recipient(phone),
        "body": "hello",
        "policy": Policy(**rules | (policy or {})),
        "content_hash": "c" * 32,
        "request_id": "r" * 32,
        "accepted_at": now,
        "consent_at": now,
    }
    return NotificationRequest(**values | fields)
