"""Twilio Verify, version 2: sends one-time codes and checks them. Codes pass through and are kept nowhere."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from twilio.base.exceptions import TwilioException

from carrier.client import connected
from carrier.errors import OutcomeUnknown, Refused, ServerError
from settings import Settings

PENDING, APPROVED = "pending", "approved"


class Channel(StrEnum):
    """How the code reaches the recipient."""

    SMS = "sms"
    CALL = "call"
    WHATSAPP = "whatsapp"


@dataclass(frozen=True, slots=True)
class Verification:
    """Twilio's verification resource, as far as we need it."""

    sid: str
    status: str

    @property
    def approved(self) -> bool:
        return self.status == APPROVED


class Verify:
    """Build it inside a running event loop; close it at the end."""

    def __init__(self, settings: Settings, service_sid: str) -> None:
        self._transport, client = connected(settings)
        self._service = client.verify.v2.services(service_sid)

    async def start(self, phone: str, channel: Channel, locale: str | None) -> Verification:
        """Has a code sent. Within a verification's ten minutes Twilio sends the same code again.

        A lost answer is looked up: what is there was started. Raises CarrierError.
        """
        given: dict[str, Any] = {"locale": locale} if locale else {}
        try:
            try:
                return _read(await self._service.verifications.create_async(to=phone, channel=channel, **given))
            except (OutcomeUnknown, ServerError) as lost:
                there = await self._look_up(phone)
                if there is None:
                    raise lost from None
                return there
        except (TwilioException, ValueError, TypeError, AttributeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def check(self, phone: str, code: str) -> Verification:
        """Whether the code is right; a wrong one leaves the verification pending.

        A check uses up one of five attempts, so one whose answer was lost is looked up and not simply repeated:
        approved is approved; otherwise nobody knows, and OutcomeUnknown says so.

        Raises CarrierError; Refused with HTTP status 404 when the verification has ended.
        """
        try:
            try:
                return _read(await self._service.verification_checks.create_async(to=phone, code=code))
            except (OutcomeUnknown, ServerError):
                there = await self._look_up(phone)
                if there is not None and there.approved:
                    return there
                # An approved one may be gone already (404); a pending one may have counted the check or not.
                raise OutcomeUnknown("Twilio did not say what came of the check.") from None
        except (TwilioException, ValueError, TypeError, AttributeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def check_service(self) -> None:
        """Raises CarrierError where there is no such service, or Twilio cannot be asked."""
        try:
            await self._service.fetch_async()
        except (TwilioException, ValueError, TypeError) as nonsense:
            raise OutcomeUnknown(f"Twilio's answer could not be read ({type(nonsense).__name__}).") from None

    async def close(self) -> None:
        await self._transport.close()

    async def _look_up(self, phone: str) -> Verification | None:
        try:
            return _read(await self._service.verifications(phone).fetch_async())
        except Refused as refused:
            if refused.http_status == 404:
                return None
            raise


def _read(resource: Any) -> Verification:
    if not resource.sid or not resource.status:
        raise ValueError("no verification")
    return Verification(sid=str(resource.sid), status=str(resource.status))
