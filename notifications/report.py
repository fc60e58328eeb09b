"""What callers are told of how their events ended."""

from dataclasses import dataclass
from typing import Any

from notifications.causes import cause_of
from notifications.status import DeliveryStatus

OVERDUE = "overdue"
"""Neither delivered nor failed when its time was over; it may still turn out."""


@dataclass(frozen=True, slots=True)
class Report:
    """How an event stands, once there is news for its caller. Nothing in it is personal."""

    event_id: str
    kind: str
    leg: int
    status: DeliveryStatus
    sid: str | None
    error_code: int | None
    escalated: bool

    @property
    def what(self) -> str:
        """The last word of the webhook's type, `notification.delivered` say."""
        return self.status.value if self.status.final or self.status is DeliveryStatus.UNKNOWN else OVERDUE

    @property
    def id(self) -> str:
        """The `webhook-id`: the same in every repeat of the same news, another one for other news."""
        return f"{self.event_id}/{self.leg}/{self.what}"

    def data(self) -> dict[str, Any]:
        """What the webhook's body holds."""
        told: dict[str, Any] = {
            "eventId": self.event_id,
            "kind": self.kind,
            "leg": self.leg,
            "status": self.status,
            "sid": self.sid,
            "errorCode": self.error_code,
            "escalated": self.escalated,
        }
        if self.error_code is not None:
            cause = cause_of(self.error_code)
            told["error"] = {"says": cause.says, "do": cause.do, "acts": cause.acts, "url": cause.url}
        return told
