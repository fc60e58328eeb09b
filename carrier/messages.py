"""Twilio's message resource: create, fetch, and find what may have been created."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException

from carrier.client import connected
from carrier.errors import OutcomeUnknown, Refused
from notifications.notification import CarrierReport
from notifications.status import DeliveryStatus, from_twilio
from settings import Settings

CALLBACK_PATH = "/twilio/status-callback"
# Twilio repeats a callback only when no connection was made; this asks for five tries on any failure.
# (Webhook connection overrides. They stand in the fragment, which is neither sent nor signed.)
CALLBACK_OVERRIDES = "#rc=5&rp=all"

MAX_VALIDITY = 36_000  # seconds; message resource, ValidityPeriod
TRIAL_PREFIX = "Sent from your Twilio trial account - "
LOOK_BACK = timedelta(minutes=1)  # how far Twilio's clock may be behind ours
LOOK_AT_MOST = 200  # messages to one recipient, newest first


@dataclass(frozen=True, slots=True)
class Created:
    """Twilio's 201."""

    sid: str
    carrier_status: str
    request_id: str | None


class Messages:
    """Build it inside a running event loop; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._transport, self._client = connected(settings)
        self._callback_url = settings.base_url + CALLBACK_PATH
        self._service = settings.twilio_messaging_service_sid
        self._from = settings.from_number

    async def create(self, *, to: str, body: str, event_id: str, leg: int, validity: timedelta) -> Created:
        """Hands one text to Twilio. Not idempotent: call it only with the leg claimed.

        `validity` is how long the text is worth sending; Twilio takes whole seconds in 1..36000.

        Raises:
            Refused, NotAccepted, ServerError, OutcomeUnknown.
        """
        try:
            answer = await self._client.messages.create_with_http_info_async(
                to=to,
                body=body,
                status_callback=self.callback_url(event_id, leg),
                validity_period=min(max(int(validity.total_seconds()), 1), MAX_VALIDITY),
                **self._sender(),
            )
            created: Any = answer.data
            if not created.sid:
                raise OutcomeUnknown("Twilio's answer names no message.")
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Created(created.sid, str(created.status), headers.get("twilio-request-id"))
        except (TwilioException, ValueError, TypeError, AttributeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def fetch(self, sid: str) -> CarrierReport | None:
        """What Twilio says of the message now; None where it says that there is none of this SID.

        A message may be missing for some time after it was created. Raises CarrierError.
        """
        try:
            message = await self._client.messages(sid).fetch_async()
        except Refused as refused:
            if refused.http_status == 404:
                return None
            raise
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        return _report(message)

    async def find(self, *, to: str, body: str, since: datetime) -> list[CarrierReport]:
        """The messages that a lost answer may have been about, oldest first.

        They go to the same number, have the same body and were created from `since` on. The list lags behind, by
        seconds usually: an empty answer proves nothing. Raises CarrierError.
        """
        # By To and body, never by DateSent: a queued message has none and would be missed.
        wanted: dict[str, Any] = {"to": to} | ({"from_": self._from} if self._from and not self._service else {})
        try:
            messages = await self._client.messages.list_async(**wanted, limit=LOOK_AT_MOST, page_size=50)
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        found = [
            message
            for message in messages
            if message.direction == "outbound-api"
            and message.body in (body, TRIAL_PREFIX + body)
            and message.date_created is not None
            and message.date_created >= since - LOOK_BACK
        ]
        return [_report(message) for message in sorted(found, key=lambda message: message.date_created)]

    async def check_credentials(self) -> None:
        """Raises CarrierError where Twilio does not take them, or cannot be reached."""
        await self._client.messages.list_async(limit=1, page_size=1)

    def callback_url(self, event_id: str, leg: int) -> str:
        """Names the event (and a later leg), so that a callback proves acceptance even when our POST's answer was
        lost. Event IDs hold no character that a query would have to escape."""
        later = f"&leg={leg}" if leg > 1 else ""
        return f"{self._callback_url}?eventId={event_id}{later}{CALLBACK_OVERRIDES}"

    async def close(self) -> None:
        await self._transport.close()

    def _sender(self) -> dict[str, Any]:
        # With a service its pool chooses the sender; a From beside it would have to be of that pool (error 21711).
        return {"messaging_service_sid": self._service} if self._service else {"from_": self._from}


def _report(message: Any) -> CarrierReport:
    status = str(message.status)
    return CarrierReport(
        sid=message.sid,
        carrier_status=status,
        status=from_twilio(status) or DeliveryStatus.SENT,
        error_code=message.error_code,
    )
