"""What is sent to whom under one event, step by step."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Channel(StrEnum):
    SMS = "sms"
    VOICE = "voice"
    """A call in which the text is spoken; Twilio's <Gather> takes the key that acknowledges it."""
    OPERATIONS = "operations-webhook"


@dataclass(frozen=True, slots=True)
class Draft:
    """One step as a kind wants it."""

    text: str
    phone: str | None = None
    """E.164; None for operators."""
    channel: Channel = Channel.SMS
    due: datetime | None = None
    """Not before then; None for at once, or as soon as the step before is through."""
    waits_for: str = ""
    """What it waits for until then, in words for the timeline."""
    acknowledge_within: timedelta | None = None
    """How long an acknowledgement is waited for before the next step; None where none is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of an event, in order. The next one follows when the one before is through; where that asks for an
    acknowledgement, only when none has come."""

    steps: tuple[Draft, ...]
    expires_at: datetime | None = None
    """From then on none of them is worth sending, whatever the policy's `stale_after` says."""
    left_out: tuple[str, ...] = ()
    """What will not be sent and why, in words for the timeline."""
