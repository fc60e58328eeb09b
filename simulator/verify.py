"""Twilio Verify, version 2: verifications that live ten minutes, five sends and five checks each."""

import asyncio
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from simulator.config import SimulatorConfig
from simulator.errors import NotFound, TwilioError
from simulator.network import Network
from simulator.rest import answer, authenticated
from simulator.scenario import Step
from simulator.store import Store
from simulator.transport import abort

SERVICE = "/v2/Services/{service}"
LIVES = 600.0  # seconds
SENDS = CHECKS = 5
CHANNELS = {"sms", "call", "whatsapp"}
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
router = APIRouter()


@dataclass
class Verification:
    """One number's code."""

    to: str
    channel: str
    service: str
    account: str
    sid: str = field(default_factory=lambda: f"VE{secrets.token_hex(16)}")
    code: str = field(default_factory=lambda: f"{secrets.randbelow(10**6):06}")
    status: str = "pending"
    began: float = field(default_factory=time.time)
    sends: list[tuple[float, str]] = field(default_factory=list)
    checks: int = 0

    def resource(self) -> dict[str, Any]:
        began = _date(self.began)
        return {
            "sid": self.sid,
            "service_sid": self.service,
            "account_sid": self.account,
            "to": self.to,
            "channel": self.channel,
            "status": self.status,
            "valid": self.status == "approved",
            "date_created": began,
            "date_updated": _date(time.time()),
            "lookup": {},
            "amount": None,
            "payee": None,
            "send_code_attempts": [
                {"time": _date(moment), "channel": channel.upper(), "attempt_sid": f"VL{self.sid[2:]}"}
                for moment, channel in self.sends
            ],
            "sna": None,
            "url": f"https://verify.twilio.com/v2/Services/{self.service}/Verifications/{self.sid}",
        }


class Verifications:
    """Those that live, by number."""

    def __init__(self) -> None:
        self._by_number: dict[str, Verification] = {}

    def living(self, to_or_sid: str) -> Verification | None:
        now = time.time()
        for number, one in list(self._by_number.items()):
            if one.began + LIVES < now:
                del self._by_number[number]
        by_sid = (one for one in self._by_number.values() if one.sid == to_or_sid)
        return self._by_number.get(to_or_sid) or next(by_sid, None)

    def add(self, verification: Verification) -> None:
        self._by_number[verification.to] = verification

    def end(self, verification: Verification) -> None:
        self._by_number.pop(verification.to, None)

    def expire(self, number: str) -> None:
        self._by_number.pop(number, None)


def service_of(service: str, request: Request) -> str:
    """Raises TwilioError 401, and 404 for a service that is not there."""
    config: SimulatorConfig = request.app.state.config
    authenticated(config.account_sid, request)
    if service not in config.verify_services:
        raise NotFound(f"/Services/{service}")
    return service


@router.get(SERVICE, dependencies=[Depends(service_of)])
async def service(service: str, request: Request) -> Response:
    config: SimulatorConfig = request.app.state.config
    about = {"sid": service, "account_sid": config.account_sid, "friendly_name": "simulated", "code_length": 6}
    return answer(about)


@router.post(SERVICE + "/Verifications", dependencies=[Depends(service_of)])
async def create(service: str, request: Request) -> Response:
    form = {name: str(value) for name, value in (await request.form()).items()}
    to, channel = form.get("To", ""), form.get("Channel", "")
    if not E164.fullmatch(to) or channel not in CHANNELS:
        raise TwilioError(60200)
    store: Store = request.app.state.store
    scenario = store.scenario(to)
    if scenario.verify_error is not None:
        raise TwilioError(scenario.verify_error)
    step = _step(scenario.verify_start)
    if step.fault in ("none", "slow") or step.accept:
        verification = _send(request, to, channel, service)
    await _fault(step, request)
    return answer(verification.resource(), 201)


@router.get(SERVICE + "/Verifications/{to_or_sid}", dependencies=[Depends(service_of)])
async def fetch(service: str, to_or_sid: str, request: Request) -> Response:
    found = _living(request, to_or_sid)
    return answer(found.resource())


@router.post(SERVICE + "/VerificationCheck", dependencies=[Depends(service_of)])
async def check(service: str, request: Request) -> Response:
    form = {name: str(value) for name, value in (await request.form()).items()}
    code, of = form.get("Code", ""), form.get("To") or form.get("VerificationSid", "")
    if not re.fullmatch(r"[0-9]{4,10}", code) or not of:
        raise TwilioError(60200)
    store: Store = request.app.state.store
    verification = _living(request, of)
    step = _step(store.scenario(verification.to).verify_check)
    resource = None
    if step.fault in ("none", "slow") or step.accept:
        resource = _check(request, verification, code)
    await _fault(step, request)
    return answer(resource or verification.resource(), 201)


@router.get("/simulator/verifications/{number}")
async def code_of(number: str, request: Request) -> dict[str, Any]:
    """What the recipient reads."""
    found = _living(request, number)
    return {"code": found.code, "sends": len(found.sends), "checks": found.checks, "channel": found.channel}


@router.delete("/simulator/verifications/{number}", status_code=204)
async def expire(number: str, request: Request) -> Response:
    """Lets ten minutes go by."""
    verifications: Verifications = request.app.state.verifications
    verifications.expire(number)
    return Response(status_code=204)


def _living(request: Request, to_or_sid: str) -> Verification:
    verifications: Verifications = request.app.state.verifications
    found = verifications.living(to_or_sid)
    if found is None:
        raise NotFound(request.url.path.removeprefix("/v2"))
    return found


def _send(request: Request, to: str, channel: str, service: str) -> Verification:
    verifications: Verifications = request.app.state.verifications
    config: SimulatorConfig = request.app.state.config
    verification = verifications.living(to)
    if verification is None:
        verification = Verification(to, channel, service, config.account_sid)
        store: Store = request.app.state.store
        verification.code = store.scenario(to).verify_code or verification.code
        verifications.add(verification)
    if len(verification.sends) >= SENDS:
        raise TwilioError(60203)
    verification.channel = channel
    verification.sends.append((time.time(), channel))
    network: Network = request.app.state.network
    network.tell({"type": "message", "message": _shown(verification)})
    return verification


def _shown(verification: Verification) -> dict[str, Any]:
    """As the phones' page shows it. It is in no list of messages, as at Twilio."""
    spoken = "a call says: " if verification.channel == "call" else ""
    return {
        "sid": f"{verification.sid}/{len(verification.sends)}",
        "to": verification.to,
        "body": f"{spoken}Your verification code is {verification.code}",
        "status": "delivered",
        "accepted_at": datetime.now(UTC).isoformat(),
        "segments": 1,
        "callbacks": [],
    }


def _check(request: Request, verification: Verification, code: str) -> dict[str, Any]:
    if verification.checks >= CHECKS:
        raise TwilioError(60202)
    verification.checks += 1
    if hmac.compare_digest(code, verification.code):
        verification.status = "approved"
        verifications: Verifications = request.app.state.verifications
        verifications.end(verification)  # Twilio forgets it at once
    return verification.resource()


def _step(steps: list[Step]) -> Step:
    return steps.pop(0) if steps else Step(fault="none")


async def _fault(step: Step, request: Request) -> None:
    if step.fault == "429":
        raise TwilioError(20429, retry_after=step.retry_after)
    if step.fault == "500":
        raise TwilioError(20500, status=step.status)
    if step.fault == "slow":
        await asyncio.sleep(step.seconds)
    if step.fault in ("hang", "reset"):
        await asyncio.sleep(step.seconds if step.fault == "hang" else 0)
        abort(request)
        raise TwilioError(20500)  # into a connection that is gone


def _date(moment: float) -> str:
    """ISO 8601, as the newer APIs write dates."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
