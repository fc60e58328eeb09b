"""What a Twilio error means to people: its cause, who acts, what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Who(StrEnum):
    """Who has to act."""

    CALLER = "caller"  # the service that posts events
    OPERATOR = "operator"  # who runs Heliograph and its Twilio account
    DEVELOPER = "developer"  # of Heliograph or of a text
    RECIPIENT = "recipient"
    TWILIO = "twilio"  # nothing to do here but wait


class Remedy(StrEnum):
    """What cures it."""

    RETRY = "retry"  # surely not processed; the same request may succeed in seconds
    DELAY = "delay"  # later: minutes to a day
    PERMANENT = "permanent"  # this text to this recipient never
    CONFIGURATION = "configuration"  # no such text leaves until somebody changes a setting or a registration
    AMBIGUOUS = "ambiguous"  # it may have been sent: look it up before anything else


@dataclass(frozen=True, slots=True)
class Cause:
    """One of Twilio's error codes (https://www.twilio.com/docs/api/errors)."""

    code: int
    says: str
    do: str
    acts: Who
    remedy: Remedy
    suppresses: bool = False
    """The number must not be texted again until its owner opts in."""

    @property
    def url(self) -> str:
        return f"https://www.twilio.com/docs/api/errors/{self.code}"
