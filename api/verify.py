"""For login checks: codes by Twilio Verify, straight from here, never through Temporal, never kept or logged."""

import re
from datetime import timedelta
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_core import PydanticCustomError
from sqlalchemy.exc import SQLAlchemyError

from api.access import Verifier
from api.problems import Problem, Unavailable, responses
from carrier.errors import CarrierError, NotAccepted, OutcomeUnknown, Refused, ServerError
from carrier.verify import Channel, Verify
from notifications import phone
from notifications.addressed import Addressed
from notifications.destinations import Destinations
from notifications.fields import Locale
from notifications.verify_causes import verify_cause_of
from privacy.encryption import KeyedHash
from privacy.masking import mask
from settings import Settings
from store.held_ranges import RANGE_HIDES
from store.limits import Limits

router = APIRouter(prefix="/api/verify", tags=["verify"])
log = structlog.stdlib.get_logger("heliograph.verify")

NUMBER_WINDOW, PREFIX_WINDOW, CALLER_WINDOW = timedelta(minutes=10), timedelta(hours=1), timedelta(minutes=1)

# What callers are answered for Twilio's codes: HTTP status and `error`. Others are 502 verify_failed.
_ANSWERS = {
    20429: (429, "too_many_requests"),
    60200: (400, "invalid_request"),
    60202: (429, "too_many_checks"),
    60203: (429, "too_many_sends"),
    60205: (400, "landline"),
    60212: (429, "too_many_requests"),
    60410: (403, "prefix_blocked"),
    60605: (403, "country_not_enabled"),
}
_RETRY_AFTER = {20429: 5, 60202: 600, 60203: 600, 60212: 5}  # seconds; a verification lives for ten minutes


class StartRequest(Addressed):
    """Have a code sent."""

    channel: Annotated[Channel, Field(description="How the code comes.")] = Channel.SMS
    locale: Locale | None = None


class Started(BaseModel):
    """The code is on its way."""

    sid: Annotated[str, Field(examples=["VE0123456789abcdef0123456789abcdef"])]
    status: Annotated[str, Field(examples=["pending"])]


def _digits(code: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[0-9]{4,10}", code.get_secret_value(), re.ASCII):
        raise PydanticCustomError("code", "must be 4 to 10 digits")
    return code


Code = Annotated[SecretStr, AfterValidator(_digits), Field(examples=["123456"])]


class CheckRequest(Addressed):
    """Is this the code?"""

    code: Code


class Checked(BaseModel):
    """Whether it was. A wrong code is no error."""

    approved: bool
    status: Annotated[str, Field(examples=["approved", "pending"])]


class Checks:
    """Verify, with limits of our own in front."""

    def __init__(self, settings: Settings, verify: Verify | None, limits: Limits, hashes: KeyedHash) -> None:
        self._settings = settings
        self._verify = verify
        self._limits = limits
        self._hashes = hashes

    async def start(self, request: StartRequest, caller: str) -> Started:
        """Raises Problem."""
        verify, number = self._configured(), request.phone
        country = phone.country_of(number)
        if (why_not := Destinations(self._settings.allowed_countries).why_not(number, country)) is not None:
            raise Problem(403, "country_not_allowed", f"{why_not}. Nothing was sent.")
        await self._limit("caller", caller, self._settings.verify_starts_per_caller, CALLER_WINDOW)
        await self._limit("prefix", number[:-RANGE_HIDES], self._settings.verify_starts_per_prefix, PREFIX_WINDOW)
        await self._limit("number", number, self._settings.verify_starts_per_number, NUMBER_WINDOW)
        about = {"recipient": mask(number), "country": country, "channel": request.channel.value, "caller": caller}
        try:
            verification = await verify.start(number, request.channel, request.locale)
        except CarrierError as error:
            log.warning("verification not started", **about, error_code=error.code, http_status=error.http_status)
            raise _problem(error) from None
        log.info("verification started", **about, sid=verification.sid)
        return Started(sid=verification.sid, status=verification.status)

    async def check(self, request: CheckRequest, caller: str) -> Checked:
        """Raises Problem."""
        verify, number = self._configured(), request.phone
        await self._limit("check", number, self._settings.verify_checks_per_number, NUMBER_WINDOW)
        about = {"recipient": mask(number), "caller": caller}
        try:
            verification = await verify.check(number, request.code.get_secret_value())
        except CarrierError as error:
            log.warning("code not checked", **about, error_code=error.code, http_status=error.http_status)
            raise _problem(error) from None
        log.info("code checked", **about, sid=verification.sid, approved=verification.approved)
        return Checked(approved=verification.approved, status=verification.status)

    def _configured(self) -> Verify:
        if self._verify is None:
            raise Problem(501, "verify_not_configured", "Set TWILIO_VERIFY_SERVICE_SID to have login checks.")
        return self._verify

    async def _limit(self, name: str, key: str, limit: int, per: timedelta) -> None:
        try:
            wait = await self._limits.hit(f"verify-{name}", self._hashes.of("limit", key), limit=limit, per=per)
        except (SQLAlchemyError, OSError):
            raise Unavailable("The database") from None  # without it there would be no limits
        if wait is not None:
            raise Problem(
                429,
                "too_many_requests",
                f"Too many for this {'number' if name == 'check' else name}. Nothing was sent.",
                headers={"Retry-After": str(int(wait) + 1)},
            )


@router.post("/start", status_code=202, responses=responses(400, 401, 403, 429, 501, 502, 503))
async def start(order: StartRequest, request: Request, caller: Verifier) -> Started:
    """Has Twilio Verify send a code. Asked again within ten minutes, the same code comes again."""
    checks: Checks = request.app.state.checks
    return await checks.start(order, caller.name)


@router.post("/check", responses=responses(400, 401, 404, 429, 501, 502, 503))
async def check(order: CheckRequest, request: Request, caller: Verifier) -> Checked:
    """Checks a code. A wrong one is answered `approved: false`; five are allowed."""
    checks: Checks = request.app.state.checks
    return await checks.check(order, caller.name)


def _problem(error: CarrierError) -> Problem:
    if isinstance(error, OutcomeUnknown | ServerError):
        return Problem(
            503,
            "outcome_unknown",
            "Twilio did not say what came of it. It may have counted: let the person try once more.",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, NotAccepted) and error.code is None:
        return Unavailable("Twilio")
    code = error.code or 0
    cause = verify_cause_of(code)
    details: dict[str, Any] = {"errorCode": code, "do": cause.do, "acts": cause.acts, "url": cause.url}
    if isinstance(error, Refused) and error.http_status == 404:
        return Problem(404, "verification_ended", cause.says, details=details)
    status, name = _ANSWERS.get(code, (502, "verify_failed"))
    retry_after = error.retry_after or _RETRY_AFTER.get(code)
    headers = {"Retry-After": str(int(retry_after))} if retry_after else None
    return Problem(status, name, cause.says, details=details, headers=headers)
