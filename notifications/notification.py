"""What travels between the API, the workflow and its activities."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from notifications.confidential import Confidential
from notifications.plan import Channel
from notifications.policy import Policy
from notifications.quiet_hours import QuietHours
from notifications.status import DeliveryStatus
from notifications.storm import Storm


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


def _json(content: Any) -> Any:
    return json.dumps(content) if isinstance(content, dict) else content  # as events had it that are under way


class Recipient(_Message):
    """Who is texted. Only `masked`, `country` and `hash` may stand where it is not encrypted."""

    phone: Confidential
    masked: str
    country: str
    hash: str


NOBODY = Recipient(phone=Confidential(""), masked="nobody", country="ZZ", hash="")
"""Of an event whose recipients are not known (yet)."""


class Step(_Message):
    """One more text, call or webhook under the same event."""

    recipient: Recipient | None
    """None for operators."""
    channel: Channel
    body: Confidential
    not_before: datetime | None = None
    waits_for: str = ""
    acknowledge_within: timedelta | None = None


class NotificationRequest(_Message):
    """An accepted event at one step of its plan: all that the workflow needs, decided once, so that a redeploy changes
    nothing under way."""

    event_id: str
    kind: str
    caller: str
    recipient: Recipient
    body: Confidential
    policy: Policy
    content_hash: str
    """Keyed hash of the event's content: tells a repeat from another event under the same ID."""
    request_id: str
    """Names the one API request that started the workflow; a repeat that attaches to it has another."""
    accepted_at: datetime
    consent_at: datetime | None
    occurred_at: datetime | None = None
    operator_note: Confidential | None = None
    report_to_caller: bool = False
    quiet_hours: QuietHours | None = None
    """Held back in them, at every attempt."""
    time_zones: tuple[str, ...] = ()
    """Where the recipient may be."""
    not_before: datetime | None = None
    """Held until then."""
    waits_for: str = "quiet hours"
    """What for, in words for the timeline."""
    leg: int = 1
    """The leg that the workflow begins with: 1, or a later one: of a further step, or that an operator has ordered."""
    first_leg: int = 1
    """The first leg of this step. What becomes of legs before it is another text's story."""
    planned: bool = False
    """Whether SQL still has to turn to this step."""
    channel: Channel = Channel.SMS
    locale: str | None = None
    acknowledge_within: timedelta | None = None
    """How long an acknowledgement is waited for before the next step; None where none is asked for."""
    steps: tuple[Step, ...] = ()
    """What follows."""
    expires_at: datetime | None = None
    """From then on it is not worth sending, whatever the policy says."""
    left_out: tuple[str, ...] = ()
    """What of the plan will not be sent and why, in words for the timeline."""
    escalated: bool = False
    """Whether a step before this one has failed, or was not acknowledged."""
    subject_hash: str | None = None
    """Keyed hash of caller and subject."""
    supersedes: tuple[str, ...] = ()
    """Kinds whose held texts about the subject it makes stale."""
    resolves: bool = False
    """Whether it ends the alerts about the subject."""
    storm: Storm | None = None
    content: Annotated[Confidential | None, BeforeValidator(_json)] = None
    """The event as it was posted, in JSON, where it can be rescheduled."""

    @property
    def stale_at(self) -> datetime:
        """From then on it is not sent any more."""
        begins = max(self.accepted_at, self.not_before) if self.not_before and self.expires_at else self.accepted_at
        ends = [begins + self.policy.stale_after, self.expires_at, self.steps[0].not_before if self.steps else None]
        return min(end for end in ends if end is not None)

    def following(self, now: datetime, leg: int) -> "NotificationRequest":
        """The next step, which must be for a recipient, as a request of its own."""
        step, *rest = self.steps
        assert step.recipient is not None
        return self.model_copy(
            update={
                "recipient": step.recipient,
                "channel": step.channel,
                "body": step.body,
                "not_before": step.not_before,
                "waits_for": step.waits_for,
                "acknowledge_within": step.acknowledge_within,
                "steps": tuple(rest),
                "accepted_at": now,
                "leg": leg,
                "first_leg": leg,
                "planned": True,
                "storm": None,
            }
        )


class Leg(_Message):
    """One text under an event. The ledger lets each leg be posted once."""

    request: NotificationRequest
    number: int = 1

    @property
    def stale_at(self) -> datetime:
        """From then on it is not sent any more."""
        return self.request.stale_at


@dataclass(frozen=True, slots=True)
class Message:
    """What is handed to Twilio, in clear: never kept, never logged."""

    to: str = field(repr=False)
    body: str = field(repr=False)


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
    NOT_ACKNOWLEDGED = "not_acknowledged"  # all were tried, and nobody said that he takes care of it
    BUDGET = "budget_exceeded"  # a caller's or a country's, for today
    PUMPING = "pumping"  # so many numbers of one range that an operator must decide
    ENDPOINT_DISABLED = "endpoint_disabled"  # its caller cannot be told of its end
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


class Purged(_Message):
    """What one purge did."""

    forgotten: int = 0
    """Recipients of whom nothing is left."""
    bodies: int = 0
    numbers: int = 0
    stories: int = 0
    keys: int = 0
    redacted: int = 0
    """Messages whose copy at Twilio has no body any more."""


class Role(StrEnum):
    """What an alert is to its group."""

    FIRST = "first"  # sent at once, and climbs
    DIGEST = "digest"  # waits for the window's end, and tells of all that came in it
    FOLDED = "folded"  # told of by a digest


class Admission(_Message):
    """What becomes of an alert."""

    role: Role
    into: str | None = None
    """The event whose digest tells of it."""
    until: datetime | None = None
    """The end of the window."""


class Digest(_Message):
    """A digest at the end of its window."""

    count: int
    """How many alerts it tells of; 0 when the incident was resolved meanwhile."""
    body: Confidential


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
