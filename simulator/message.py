"""Twilio's message resource."""

import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})


@dataclass
class CallbackRecord:
    """One callback and how its attempts were answered."""

    status: str
    answers: list[str] = field(default_factory=list)
    lost: bool = False


@dataclass
class Message:
    """A message as the simulator keeps it."""

    account_sid: str
    to: str
    from_: str | None
    body: str
    status: str
    accepted_at: float
    """Seconds since the epoch, in real time."""
    direction: str = "outbound-api"
    clock_offset: float = 0.0
    """By how many seconds the simulator's clock was wrong when it was created."""
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    sid: str = field(default_factory=lambda: "SM" + secrets.token_hex(16))
    error_code: int | None = None
    date_sent: float | None = None
    date_updated: float | None = None
    redacted: bool = False
    segments: int = 1
    callbacks: list[CallbackRecord] = field(default_factory=list)

    @property
    def final(self) -> bool:
        return self.status in FINAL

    def resource(self) -> dict[str, Any]:
        """The JSON of the API: 20 fields, counts and price as strings (OpenAPI, api.v2010.account.message)."""
        base = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.sid}"
        unsent = self.status in ("accepted", "scheduled")
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": "" if self.redacted else self.body,
            "date_created": self._date(self.accepted_at),
            "date_sent": self._date(self.date_sent),
            "date_updated": self._date(self.date_updated or self.accepted_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": None if unsent and self.messaging_service_sid else self.from_,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": "0",
            "num_segments": "0" if unsent else str(self.segments),
            "price": "-0.00750" if self.status in ("delivered", "undelivered", "sent", "received") else None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{base}/Media.json"},
            "to": self.to,
            "uri": f"{base}.json",
        }

    def record(self) -> dict[str, Any]:
        """For auditors and the phones' page."""
        return {
            **{name: value for name, value in asdict(self).items() if name not in ("from_", "accepted_at")},
            "from": self.from_,
            "accepted_at": datetime.fromtimestamp(self.accepted_at, UTC).isoformat(),
        }

    def _date(self, moment: float | None) -> str | None:
        """RFC 2822, as the 2010-04-01 API writes dates."""
        if moment is None:
            return None
        return format_datetime(datetime.fromtimestamp(moment + self.clock_offset, UTC).replace(microsecond=0))
