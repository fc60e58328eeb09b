"""Twilio's message resource: create, fetch, and find what may have been created."""

from datetime import UTC, datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException

from carrier.client import connected
from carrier.create import CALLBACK_OVERRIDES, Carrier, Created, created, gone, named
from carrier.errors import OutcomeUnknown, Refused
from notifications.notification import CarrierReport, Leg, Message
from notifications.status import DeliveryStatus, from_twilio
from settings import Settings

CALLBACK_PATH = "/twilio/status-callback"
MAX_VALIDITY = 36_000  # seconds; message resource, ValidityPeriod
TRIAL_PREFIX = "Sent from your Twilio trial account - "
LOOK_BACK = timedelta(minutes=1)  # how far Twilio's clock may be behind ours
LOOK_AT_MOST = 200  # messages to one recipient, newest first


class Messages(Carrier):
    """Texts. Build it inside a running event loop; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._transport, self._client = connected(settings)
        self._callback_url = settings.base_url + CALLBACK_PATH
        self._service = settings.twilio_messaging_service_sid
        self._from = settings.from_number

    async def create(self, leg: Leg, message: Message) -> Created:
        """Hands one text to Twilio, with what is left of its worth as validity period (whole seconds in 1..36000)."""
        validity = leg.stale_at - datetime.now(UTC)
        try:
            answer = await self._client.messages.create_with_http_info_async(
                to=message.to,
                body=message.body,
                status_callback=named(self._callback_url, leg) + CALLBACK_OVERRIDES,
                validity_period=min(max(int(validity.total_seconds()), 1), MAX_VALIDITY),
                **self._sender(),
            )
            return created(answer)
        except (TwilioException, ValueError, TypeError, AttributeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def fetch(self, sid: str) -> CarrierReport | None:
        """What Twilio says of the message now."""
        try:
            message = await self._client.messages(sid).fetch_async()
        except Refused as refused:
            if refused.http_status == 404:
                return None
            raise
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        return _report(message)

    async def find(self, message: Message, *, since: datetime) -> list[CarrierReport]:
        """Those to the same number with the same body."""
        # By To and body, never by DateSent: a queued message has none and would be missed.
        wanted: dict[str, Any] = {"to": message.to}
        if self._from and not self._service:
            wanted["from_"] = self._from
        try:
            listed = await self._client.messages.list_async(**wanted, limit=LOOK_AT_MOST, page_size=50)
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        found = [
            one
            for one in listed
            if one.direction == "outbound-api"
            and one.body in (message.body, TRIAL_PREFIX + message.body)
            and one.date_created is not None
            and one.date_created >= since - LOOK_BACK
        ]
        return [_report(one) for one in sorted(found, key=lambda one: one.date_created)]

    async def redact(self, sid: str) -> None:
        """Empties the body of Twilio's copy; it must have ended. Raises CarrierError."""
        await gone(self._client.messages(sid).update_async(body=""))

    async def delete(self, sid: str) -> None:
        """Deletes Twilio's copy; it must have ended. Raises CarrierError."""
        await gone(self._client.messages(sid).delete_async())

    async def check_credentials(self) -> None:
        """Raises CarrierError where Twilio does not take them, or cannot be reached."""
        await self._client.messages.list_async(limit=1, page_size=1)

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
