"""The failure rules of one kind of event."""

from datetime import timedelta
from enum import IntEnum, StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Purpose(StrEnum):
    """What the recipient agreed to be texted about."""

    ORDER_UPDATES = "order-updates"
    APPOINTMENTS = "appointments"
    INCIDENTS = "incidents"
    SUPPORT = "support"


class Priority(IntEnum):
    """Temporal's priority keys: a lower number leaves first."""

    URGENT = 1
    NORMAL = 3
    BULK = 5


class WhenUnknown(StrEnum):
    """What to do with a text that may or may not have been sent, when neither callback nor look-up tells."""

    HOLD = "hold"  # tell an operator, never send it again by itself
    RESEND = "resend"  # send it once more: rather twice than not at all


class Rung(BaseModel):
    """One step of the escalation ladder."""

    model_config = ConfigDict(frozen=True)

    channel: str
    try_for: timedelta

    @classmethod
    def tell_operators(cls, try_for: timedelta = timedelta(hours=24)) -> "Rung":
        """A signed webhook to operators, tried again until it is taken or `try_for` has passed."""
        return cls(channel="operations-webhook", try_for=try_for)


LISTENS_FOR = timedelta(hours=24)


class Policy(BaseModel):
    """How long a text may take, when it is worthless, and who hears of it when it fails."""

    model_config = ConfigDict(frozen=True)

    purpose: Purpose
    priority: Priority = Priority.NORMAL
    deliver_within: timedelta = Field(ge=timedelta(seconds=5), le=timedelta(days=1))
    """From acceptance to the handset; after it the ladder runs."""
    stale_after: timedelta = Field(ge=timedelta(seconds=5), le=timedelta(days=7))
    """From acceptance; after it the text is not sent any more. Twilio gets the rest of it as validity period."""
    listen_for: timedelta = LISTENS_FOR
    """How long a late callback is waited for after the ladder has run without a final status."""
    when_unknown: WhenUnknown = WhenUnknown.HOLD
    keeps_quiet: bool = False
    """Whether QUIET_HOURS at the recipient's hold it back. Not for what is urgent or awaited."""
    capped: bool = False
    """Whether RECIPIENT_CAPS limit how many of its texts and calls one phone gets."""
    max_segments: int = Field(default=10, ge=1, le=10)
    """How many segments a text may be paid for; what would take more is refused."""
    ladder: tuple[Rung, ...] = (Rung.tell_operators(),)
