"""What travels between the API, the workflow and its activities."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from notifications.policy import Policy
from notifications.quiet_hours import QuietHours
from notifications.status import DeliveryStatus


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Recipient(_Message):
    """Who is texted. Only `masked`, `country` and `hash` may stand where it is not encrypted."""

    phone: str
    masked: str
    country: str
    hash: str


class NotificationRequest(_Message):
    """An accepted event: all that the workflow needs, decided once, so that a redeploy changes nothing under way."""

    event_id: str
    kind: str
    caller: str
    recipient: Recipient
    body: str
    policy: Policy
    content_hash: str
    """Keyed hash of the event's content: tells a repeat from another event under the same ID."""
    request_id: str
    """Names the one API request that started the workflow; a repeat that attaches to it has another."""
    accepted_at: datetime
    consent_at: datetime
    occurred_at: datetime | None = None
    operator_note: str | None = None
    report_to_caller: bool = False
    quiet_hours: QuietHours | None = None
    """Held back in them, at every attempt."""
    time_zones: tuple[str, ...] = ()
    """Where the recipient may be."""
    not_before: datetime | None = None
    """Held from acceptance until then."""
    leg: int = 1
    """The leg that the workflow begins with: 1, or a later one that an operator has ordered."""


class Leg(_Message):
    """One text under an event. The ledger lets each leg be posted once."""

    request: NotificationRequest
    number: int = 1

    @property
    def stale_at(self) -> datetime:
        """From then on it is not sent any more."""
        return self.request.accepted_at + self.request.policy.stale_after


class Receipt(_Message):
    """Twilio has the message."""

    sid: str
    carrier_status: str


class CarrierReport(_Message):
    """What Twilio says of a message now; also the final status callback that is signalled to the workflow."""

    sid: str
    carrier_status: str
    status: DeliveryStatus
    error_code: int | None = None
    leg: int = 1


class Inquiry(_Message):
    """What ledger and Twilio together know of a leg."""

    posted: bool
    """False only when it is certain that no request of this leg has reached Twilio."""
    report: CarrierReport | None = None


class EscalationReason(StrEnum):
    REFUSED = "refused"
    NOT_DELIVERED = "not_delivered"
    SILENT = "no_final_status"
    NOT_ACCEPTED = "not_accepted"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate_send"  # two messages report for one leg
    STUCK = "stuck"  # its workflow is open, long past the deadline, and has told nobody
    ABANDONED = "abandoned"  # its workflow was ended by hand before anything was sent
    RECOVERED = "delivered_late"  # closes the case that one of the others has opened


class Notice(_Message):
    """What operators are told."""

    request: NotificationRequest
    reason: EscalationReason
    status: DeliveryStatus
    sid: str | None
    error_code: int | None
    deadline: timedelta
    leg: int = 1


class Swept(_Message):
    """What one sweep of the reconciliation did."""

    looked_at: int = 0
    settled: int = 0
    """A final status that was found at Twilio, or in a workflow that had ended."""
    restarted: int = 0
    """Events whose workflow was gone."""
    told: int = 0
    """Operators were told of it."""
    unanswered: int = 0
    """Twilio or Temporal could not be asked; the next sweep tries again."""


class Outcome(_Message):
    """How it ended; the workflow's result and the answer to a caller that waits."""

    event_id: str
    status: DeliveryStatus
    sid: str | None = None
    error_code: int | None = None
    escalated: bool = False
    leg: int = 1
    request_id: str
    content_hash: str
