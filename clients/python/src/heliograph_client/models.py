"""The events, and what the API answers. Made by `make openapi`; edit the service instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from heliograph_client.errors import Detail
from heliograph_client.wire import Event, Private
from heliograph_client.words import DeliveryStatus, Word

__all__ = [
    "EVENTS",
    "Accepted",
    "Acknowledged",
    "AppointmentReminder",
    "BatchAnswer",
    "Canceled",
    "CauseOfFailure",
    "Checked",
    "ConsentEntry",
    "ConsentStatus",
    "Contact",
    "Encoding",
    "ForPurpose",
    "Forgotten",
    "IncidentAlert",
    "IncidentResolved",
    "ItemAnswer",
    "NotificationStory",
    "OrderDelayed",
    "OrderShipped",
    "OutForDelivery",
    "Previewed",
    "Purpose",
    "Rescheduled",
    "Resent",
    "Standing",
    "Started",
    "Summaries",
    "Summary",
    "SupportAck",
    "TimelineEntry",
]


class Encoding(Word):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


class Purpose(Word):
    """What the recipient agreed to be texted about."""

    ORDER_UPDATES = "order-updates"
    APPOINTMENTS = "appointments"
    INCIDENTS = "incidents"
    SUPPORT = "support"


class ConsentStatus(Word):
    """What a record says. The first three are of consent, the others of an opt-out, which is stronger than
    consent."""

    GRANTED = "granted"
    REVOKED = "revoked"
    LAPSED = "lapsed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Contact(Private):
    """One who is on call."""

    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    name: str | None = None
    """Spoken in calls."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AppointmentReminder(Event):
    """An appointment comes near: one text at each of the times before it."""

    kind: ClassVar[str] = "appointment-reminder"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    appointment_id: str
    """The appointment's number. No spaces: it is no place for what the appointment is about."""
    consent_at: datetime
    """When the recipient agreed to be texted about this."""
    starts_at: datetime
    """When it starts. The text tells the time in `timeZone`, else by the clock of this offset."""
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""
    remind_before: Sequence[timedelta | str] | None = None
    """How long before, as ISO 8601 durations, at most P60D. Days are the calendar's: P1D is the same time
    by the clock on the day before, also when clocks change; PT24H is exactly 24 hours."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IncidentAlert(Event):
    """Something is broken: alerts those on call, one after the other, until somebody acknowledges."""

    kind: ClassVar[str] = "incident-alert"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    consent_at: datetime
    """When the contacts agreed to be alerted."""
    contacts: Sequence[Contact]
    """In the order in which they are tried."""
    group_key: str
    """Names the incident. Alerts of one group are folded; `incident-resolved` ends it."""
    service: str
    severity: Literal["critical", "high", "low"]
    summary: str
    acknowledge_within_seconds: int | None = None
    """Before the next try; otherwise the severity says."""
    channels: Sequence[Literal["sms", "voice"]] | None = None
    """How each contact is tried; otherwise the severity says."""
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    rounds: int | None = None
    """How often all contacts are tried; otherwise the severity says."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IncidentResolved(Event):
    """What was broken works again: stops the alerts of the group, and tells those who were alerted."""

    kind: ClassVar[str] = "incident-resolved"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    group_key: str
    """The alerts'."""
    consent_at: datetime | None = None
    """When the recipient agreed to be texted about this."""
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderDelayed(Event):
    """A parcel comes later than was promised."""

    kind: ClassVar[str] = "order-delayed"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    consent_at: datetime
    """When the recipient agreed to be texted about this."""
    order_id: str
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""
    tracking_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderShipped(Event):
    """A parcel has left the warehouse."""

    kind: ClassVar[str] = "order-shipped"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    consent_at: datetime
    """When the recipient agreed to be texted about this."""
    order_id: str
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""
    tracking_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OutForDelivery(Event):
    """A parcel is in the van and comes today."""

    kind: ClassVar[str] = "out-for-delivery"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    consent_at: datetime
    """When the recipient agreed to be texted about this."""
    order_id: str
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""
    tracking_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SupportAck(Event):
    """A support request has come in. The text is fixed: nothing that was written in the request can get
    into it."""

    kind: ClassVar[str] = "support-ack"

    event_id: str
    """Yours, unique per business event. It is the Temporal workflow ID; the same one never texts twice. Not
    beginning with `heliograph-` or `temporal-sys-`."""
    phone: str
    """The recipient, in E.164; or in national form with `region`."""
    consent_at: datetime
    """When the recipient agreed to be texted about this."""
    ticket_id: str
    """The ticket's number. No spaces: it is no place for a subject line."""
    delivery_timeout_seconds: int | None = None
    """Overrides the kind's deadline."""
    locale: str | None = None
    occurred_at: datetime | None = None
    """When the event happened."""
    operator_note: str | None = None
    """Shown to operators, never sent to the recipient."""
    region: str | None = None
    """ISO 3166-1 alpha-2; lets `phone` be in this region's national form."""
    time_zone: str | None = None
    """The recipient's, by its IANA name; otherwise his number tells, as well as it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The event is taken, or was before."""

    event_id: str
    status: DeliveryStatus
    accepted: bool | None = None
    duplicate: bool | None = None
    error_code: int | None = None
    sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """Somebody takes care of it."""

    event_id: str
    acknowledged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """What the single route would have answered; what `dryRun` answers has more fields."""

    event_id: str | None = None
    http_status: int
    index: int
    accepted: bool | None = None
    detail: str | None = None
    details: tuple[Detail, ...] | Mapping[str, Any] | None = None
    duplicate: bool | None = None
    error: str | None = None
    sid: str | None = None
    status: DeliveryStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """One answer per event, in their order."""

    accepted: int
    duplicates: int
    refused: int
    results: tuple[ItemAnswer, ...]
    dry_run: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """What was held of it will not be sent; the status is that of the text that was sent before, if one
    was."""

    event_id: str
    status: DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whether it was. A wrong code is no error."""

    approved: bool
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """His key is destroyed; nothing that was said to him can be read any more."""

    phone: str
    events: int
    """Of which only the bare IDs are left, once they have ended."""
    opted_out: bool
    """An opt-out outlives him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseOfFailure:
    """A Twilio error: what it means, who acts, what to do."""

    acts: str
    code: int
    do: str
    says: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened."""

    at: datetime
    what: str
    carrier_status: str | None = None
    counted: bool = True
    detail: str | None = None
    error_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationStory:
    """All that is known of a notification."""

    event_id: str
    phone: str | None = None
    """Masked."""
    status: DeliveryStatus
    workflow: str
    """Where it is in Temporal's UI."""
    accepted_at: datetime | None = None
    attempts: int = 0
    country: str | None = None
    duplicate_send: bool | None = None
    error: CauseOfFailure | None = None
    escalated: str | None = None
    kind: str | None = None
    sid: str | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """What would become of the event, were it posted now. Nothing was sent."""

    phone: str
    country: str
    encoding: Encoding
    local_times: Mapping[str, datetime]
    segments: int
    text: str
    would: Literal["send", "hold", "refuse"]
    dry_run: bool = True
    not_before: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescheduled:
    """When its next text leaves."""

    event_id: str
    not_before: datetime | None = None
    status: DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Resent:
    """The new leg."""

    event_id: str
    leg: int
    """2 for the first text that was ordered again, and so on."""
    status: DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPurpose:
    """Whether he may be texted for one purpose."""

    may_text: bool
    consent_at: datetime | None = None
    why: str | None = None
    """Why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEntry:
    """One record of the ledger."""

    event_id: str | None = None
    at: datetime
    purpose: str
    """`*` for all."""
    recorded_by: str
    source: str
    status: ConsentStatus
    expires_at: datetime | None = None
    recorded_at: datetime | None = None
    sender: str | None = None
    wording: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a recipient may be texted, and how that came about."""

    phone: str
    """Masked."""
    opted_out: bool
    purposes: Mapping[Purpose, ForPurpose]
    records: tuple[ConsentEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The code is on its way."""

    sid: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a notification stands."""

    event_id: str
    phone: str | None = None
    """Masked."""
    status: DeliveryStatus
    workflow: str
    """Where it is in Temporal's UI."""
    accepted_at: datetime | None = None
    attempts: int = 0
    country: str | None = None
    duplicate_send: bool | None = None
    error: CauseOfFailure | None = None
    escalated: str | None = None
    kind: str | None = None
    sid: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """The latest first."""

    notifications: tuple[Summary, ...]


EVENTS: tuple[type[Event], ...] = (
    AppointmentReminder,
    IncidentAlert,
    IncidentResolved,
    OrderDelayed,
    OrderShipped,
    OutForDelivery,
    SupportAck,
)
