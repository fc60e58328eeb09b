"""Twilio's call resource: calls that speak a text and take the key that acknowledges it."""

from datetime import datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException

from carrier.client import connected
from carrier.create import CALLBACK_OVERRIDES, Carrier, Created, created, gone, named
from carrier.errors import OutcomeUnknown, Refused
from carrier.twiml import asks_for_key
from notifications.notification import CarrierReport, Leg, Message
from notifications.spoken import voice_of
from notifications.status import DeliveryStatus, from_twilio_call
from settings import Settings

CALL_STATUS_PATH = "/twilio/call-status"
KEY_PATH = "/twilio/key"

RINGS_FOR = 40  # seconds; longer and voice mail answers
WAITS_FOR_KEY = 8  # seconds after the text was spoken
LOOK_BACK = timedelta(minutes=1)  # how far Twilio's clock may be behind ours
LOOK_AT_MOST = 100  # calls to one recipient, newest first


class Calls(Carrier):
    """Calls. Build it inside a running event loop; close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._transport, self._client = connected(settings)
        self._base_url = settings.base_url
        self._from = settings.voice_from_number

    async def create(self, leg: Leg, message: Message) -> Created:
        """Has Twilio call. Speaks the text twice, then hangs up."""
        if self._from is None:
            raise Refused("There is no number to call from: set TWILIO_VOICE_FROM_NUMBER.")
        try:
            answer = await self._client.calls.create_with_http_info_async(
                to=message.to,
                from_=self._from,
                twiml=self._twiml(leg, message),
                status_callback=named(self._base_url + CALL_STATUS_PATH, leg) + CALLBACK_OVERRIDES,
                timeout=RINGS_FOR,
            )
            return created(answer)
        except (TwilioException, ValueError, TypeError, AttributeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def fetch(self, sid: str) -> CarrierReport | None:
        """What Twilio says of the call now."""
        try:
            call = await self._client.calls(sid).fetch_async()
        except Refused as refused:
            if refused.http_status == 404:
                return None
            raise
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        return _report(call)

    async def find(self, message: Message, *, since: datetime) -> list[CarrierReport]:
        """Those to the same number; what is spoken in a call stands nowhere in Twilio's list."""
        try:
            calls = await self._client.calls.list_async(
                to=message.to, from_=self._from, limit=LOOK_AT_MOST, page_size=50
            )
        except (TwilioException, ValueError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None
        found = [
            call
            for call in calls
            if call.direction == "outbound-api"
            and call.date_created is not None
            and call.date_created >= since - LOOK_BACK
        ]
        return [_report(call) for call in sorted(found, key=lambda call: call.date_created)]

    async def delete(self, sid: str) -> None:
        """Deletes Twilio's record; the call must have ended. Raises CarrierError."""
        await gone(self._client.calls(sid).delete_async())

    async def close(self) -> None:
        await self._transport.close()

    def _twiml(self, leg: Leg, message: Message) -> str:
        locale = f"&locale={leg.request.locale}" if leg.request.locale else ""
        return asks_for_key(
            message.body,
            language=voice_of(leg.request.locale),
            action=named(self._base_url + KEY_PATH, leg) + locale,
            timeout=WAITS_FOR_KEY,
        )


def _report(call: Any) -> CarrierReport:
    status = str(call.status)
    return CarrierReport(
        sid=call.sid, carrier_status=status, status=from_twilio_call(status) or DeliveryStatus.SENT, error_code=None
    )
