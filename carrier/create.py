"""What texts and calls have in common: one request that creates, and two ways to find out what came of it."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from twilio.base.exceptions import TwilioException

from carrier.errors import OutcomeUnknown, Refused
from notifications.notification import CarrierReport, Leg, Message

# Twilio repeats a callback only when no connection was made; this asks for five tries on any failure.
# (Webhook connection overrides. They stand in the fragment, which is neither sent nor signed.)
CALLBACK_OVERRIDES = "#rc=5&rp=all"


@dataclass(frozen=True, slots=True)
class Created:
    """Twilio's 201."""

    sid: str
    carrier_status: str
    request_id: str | None


class Carrier(Protocol):
    """A way to a phone."""

    async def create(self, leg: Leg, message: Message) -> Created:
        """Hands the message of one leg to Twilio. Not idempotent: call it only with the leg claimed.

        Raises:
            Refused, NotAccepted, ServerError, OutcomeUnknown.
        """

    async def fetch(self, sid: str) -> CarrierReport | None:
        """What Twilio says of it now; None where it says that there is none of this SID.

        It may be missing for some time after it was created. Raises CarrierError.
        """

    async def find(self, message: Message, *, since: datetime) -> list[CarrierReport]:
        """What a lost answer may have been about, created from `since` on, oldest first.

        The list lags behind, by seconds usually: an empty answer proves nothing. Raises CarrierError.
        """


def created(answer: Any) -> Created:
    """Reads the answer of the official client. Raises OutcomeUnknown."""
    resource: Any = answer.data
    if not resource.sid:
        raise OutcomeUnknown("Twilio's answer names no SID.")
    headers: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
    return Created(resource.sid, str(resource.status), headers.get("twilio-request-id"))


async def gone(request: Awaitable[Any]) -> None:
    """Awaits a request to take something away; what is not there needs none. Raises CarrierError."""
    try:
        await request
    except Refused as refused:
        if refused.http_status != 404:
            raise
    except (TwilioException, ValueError) as nonsense:
        raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None


def named(url: str, leg: Leg) -> str:
    """A callback URL that names the event (and a later leg): a callback proves acceptance even when the answer was
    lost. Event IDs hold no character that a query would have to escape."""
    later = f"&leg={leg.number}" if leg.number > 1 else ""
    return f"{url}?eventId={leg.request.event_id}{later}"
