"""Posting a text to Twilio, at most once per leg."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from activities.look_up import LookUp
from carrier.create import Carrier, Created
from carrier.errors import CarrierError, NotAccepted, OutcomeUnknown, Refused, ServerError
from notifications.destinations import Destinations
from notifications.notification import EscalationReason, Leg, Message, Notice, Receipt
from notifications.plan import Channel
from notifications.policy import WhenUnknown
from notifications.status import DeliveryStatus
from store.ledger import Claim, Ledger, LegState
from store.timeline import Entry
from telemetry import metrics
from telemetry.tracing import annotate
from workflows import names
from workflows.dispatch import Dispatch

HEARTBEAT_EVERY = 4.0  # seconds; a fast send needs none
SERVER_ERROR_DELAYS = (5.0, 15.0, 45.0, 120.0)  # seconds; the list lags, so the look-up must not come at once
# Seconds between look-ups of a leg that Twilio answered with 5xx; after the last one it is posted again. Where a lost
# text is worse than a second one, one look is enough.
LOOK_AGAIN_AFTER = {WhenUnknown.HOLD: (20.0, 60.0), WhenUnknown.RESEND: ()}
# Seconds until a text asks again whose range of numbers is held, more at each attempt and at most so many: a thousand
# that wait must not use up the account's rate.
HELD_LOOKS_AGAIN_AFTER, HELD_AT_MOST = 60.0, 600.0
LEDGER_TRIES = (0.1, 0.5, 2.0)  # seconds between tries to write down what Twilio has answered

log = structlog.stdlib.get_logger("heliograph.deliver")


class Deliver:
    """The send. Its guard is the ledger: what was claimed and not settled is never posted again."""

    def __init__(
        self,
        ledger: Ledger,
        carriers: Mapping[Channel, Carrier],
        look_up: LookUp,
        dispatch: Dispatch,
        destinations: Destinations,
    ) -> None:
        self._ledger = ledger
        self._carriers = carriers
        self._look_up = look_up
        self._dispatch = dispatch
        self._destinations = destinations

    @activity.defn(name=names.DELIVER)
    async def deliver(self, leg: Leg) -> Receipt:
        """Posts one text to Twilio, at most once per leg.

        Raises ApplicationError of these types:
            Refused: Twilio will not send it, now or later (4xx). Not retried.
            Suppressed: our own rules forbid it. Not retried.
            Stale: too late to be worth sending. Not retried.
            OutcomeUnknown: it may have been sent (time-out, reset, dead worker). Not retried; the workflow settles it.
            NotAccepted: Twilio did not take it (429, no connection). Retried, after `Retry-After` where given.
            ServerError: 5xx. Retried; the next attempt looks it up first.
        """
        # Shielded: neither a callback that wins the race nor a stopping worker may cut a POST in two.
        work = asyncio.ensure_future(self._deliver(leg, activity.info().attempt))
        work.add_done_callback(_seen)  # nobody awaits a send that a callback has overtaken
        async with _Heartbeat():
            return await asyncio.shield(work)

    async def _deliver(self, leg: Leg, attempt: int) -> Receipt:
        claimant = f"{activity.info().workflow_run_id}/{attempt}"
        claim = await self._ledger.claim(leg, claimant, attempt)
        if not claim.granted and claim.state is LegState.IN_DOUBT:
            if (receipt := await self._look_it_up(leg, claim)) is not None:
                metrics.DUPLICATES.labels(guard="look_up").inc()
                return receipt
            await self._be_patient(leg)
            claim = await self._ledger.claim_after_look_up(leg, claimant, attempt)
        if not claim.granted:
            return await self._earlier_answer(leg, claim)
        assert claim.message is not None
        await self._check(leg, claim.message)
        await self._keep_quiet(leg)
        return await self._post(leg, claim.message, attempt)

    async def _look_it_up(self, leg: Leg, claim: Claim) -> Receipt | None:
        try:
            return await self._look_up.settle(leg, claim)
        except CarrierError as error:
            raise _failure(
                names.SERVER_ERROR, "Could not look it up yet.", error.code, retry_after=error.retry_after
            ) from None

    async def _be_patient(self, leg: Leg) -> None:
        """Lets a leg that was not found pass only when it was looked up often enough: the list lags behind."""
        looks = await self._ledger.looked_in_vain(leg)
        pauses = LOOK_AGAIN_AFTER[leg.request.policy.when_unknown]
        if looks <= len(pauses):
            says = "Twilio answered 5xx and does not list it (yet)."
            raise _failure(names.SERVER_ERROR, says, retry_after=pauses[looks - 1])

    async def _earlier_answer(self, leg: Leg, claim: Claim) -> Receipt:
        """An earlier attempt, run or Reset has been here: its answer stands, and nothing is sent."""
        if claim.held is None and claim.forbidden is None:
            metrics.DUPLICATES.labels(guard="ledger").inc()
        if claim.alarm is not None:
            await self._raise_alarm(leg, claim, claim.alarm)
        if claim.held is not None:
            pause = min(HELD_LOOKS_AGAIN_AFTER * activity.info().attempt, HELD_AT_MOST)
            raise _failure(names.HELD, f"Held: {claim.held}.", retry_after=pause)
        if claim.forbidden is not None:
            raise _failure(names.SUPPRESSED, f"Not sent: {claim.forbidden}.")
        if claim.sid is not None:
            return Receipt(sid=claim.sid, carrier_status=claim.carrier_status or "unknown")
        if claim.state is LegState.REFUSED:
            raise _failure(names.REFUSED, "An earlier attempt was refused.", claim.error_code)
        if claim.state is LegState.CLAIMED:
            entry = Entry("unknown", detail="the attempt that had claimed the send never said how it ended")
            await self._ledger.not_sent(leg, LegState.UNKNOWN, entry)
        raise _failure(names.OUTCOME_UNKNOWN, "An earlier attempt may have sent it.")

    async def _raise_alarm(self, leg: Leg, claim: Claim, about: str) -> None:
        """Tells operators, once, of what concerns more than this text."""
        notice = Notice(
            request=leg.request,
            reason=EscalationReason.PUMPING if claim.held else EscalationReason.BUDGET,
            status=DeliveryStatus.PENDING if claim.held else DeliveryStatus.SUPPRESSED,
            sid=None,
            error_code=None,
            deadline=leg.request.policy.deliver_within,
            leg=leg.number,
        )
        try:
            await self._dispatch.notify_operators(notice, about=about)
        except (RPCError, RuntimeError) as failure:
            log.error("operators could not be told", about=about, error=type(failure).__name__)

    async def _check(self, leg: Leg, message: Message) -> None:
        """The last look before the POST: minutes or days may have passed since the event was accepted."""
        request = leg.request
        call = request.channel is Channel.VOICE
        if (why_not := self._destinations.why_not(message.to, request.recipient.country, call=call)) is not None:
            await self._ledger.refused(leg, Entry("suppressed", detail=why_not), DeliveryStatus.SUPPRESSED)
            raise _failure(names.SUPPRESSED, f"Not sent: {why_not}.")
        if datetime.now(UTC) >= leg.stale_at:
            await self._ledger.refused(
                leg, Entry("expired", detail="too late to be worth sending"), DeliveryStatus.EXPIRED
            )
            raise _failure(names.STALE, "Too late to be worth sending; it was not sent.")

    async def _keep_quiet(self, leg: Leg) -> None:
        """It may be night by now where the recipient is: retries and outages take hours at times."""
        request, now = leg.request, datetime.now(UTC)
        if request.quiet_hours is None or leg.number > request.first_leg:  # a further leg is an operator's order
            return
        opening = request.quiet_hours.opening(now, request.time_zones)
        if opening > now:
            says = f"quiet hours at the recipient's until {opening:%Y-%m-%d %H:%M} UTC"
            await self._ledger.not_sent(leg, LegState.RELEASED, Entry("held", detail=says))
            raise _failure(names.HELD, f"Held: {says}.", retry_after=(opening - now).total_seconds())

    async def _post(self, leg: Leg, message: Message, attempt: int) -> Receipt:
        request = leg.request
        started = monotonic()
        try:
            created = await self._carriers[request.channel].create(leg, message)
        except CarrierError as error:
            seconds, known = monotonic() - started, error
            _count(leg, _MEANING[type(error)][0], error.code)
            await self._write_down(lambda: self._took_down(leg, known, attempt, seconds))
            raise _application_error(error, attempt) from None
        seconds = monotonic() - started
        _count(leg, "accepted")
        annotate(event_id=request.event_id, message_sid=created.sid)
        await self._write_down(lambda: self._took_up(leg, created, attempt, seconds))
        return Receipt(sid=created.sid, carrier_status=created.carrier_status)

    async def _took_up(self, leg: Leg, created: Created, attempt: int, seconds: float) -> None:
        facts = {"attempt": attempt, "ms": round(seconds * 1000), "requestId": created.request_id}
        entry = Entry("sent", sid=created.sid, carrier_status=created.carrier_status, facts=facts)
        await self._ledger.accepted(leg, created.sid, created.carrier_status, entry)
        log.info("sent", **_about(leg), sid=created.sid, attempt=attempt, twilio_request_id=created.request_id)

    async def _took_down(self, leg: Leg, error: CarrierError, attempt: int, seconds: float) -> None:
        what, state = _MEANING[type(error)]
        facts = {
            "attempt": attempt,
            "ms": round(seconds * 1000),
            "requestId": error.request_id,
            "httpStatus": error.http_status,
            "retryAfter": error.retry_after,
        }
        entry = Entry(
            what,
            error_code=error.code,
            detail=error.says,
            facts={name: value for name, value in facts.items() if value is not None},
        )
        if state is LegState.REFUSED:
            await self._ledger.refused(leg, entry)
        else:
            await self._ledger.not_sent(leg, state, entry)
        log.warning(what, **_about(leg), error_code=error.code, http_status=error.http_status, attempt=attempt)

    async def _write_down(self, write: Callable[[], Awaitable[None]]) -> None:
        """Twilio's answer is known; a database that is away must not turn it into a failure of the send.

        If it stays away, the leg stays claimed: nobody sends it again, the workflow has the answer and the callback
        brings the SID into the ledger.
        """
        for pause in LEDGER_TRIES:
            try:
                return await write()
            except (SQLAlchemyError, OSError):
                await asyncio.sleep(pause)
        try:
            await write()
        except (SQLAlchemyError, OSError) as failure:
            log.error("the ledger did not take Twilio's answer", error=type(failure).__name__)


_MEANING = {
    Refused: ("refused", LegState.REFUSED),
    NotAccepted: ("not_accepted", LegState.RELEASED),
    ServerError: ("server_error", LegState.IN_DOUBT),
    OutcomeUnknown: ("unknown", LegState.UNKNOWN),
}
_TYPES = {
    Refused: names.REFUSED,
    NotAccepted: names.NOT_ACCEPTED,
    ServerError: names.SERVER_ERROR,
    OutcomeUnknown: names.OUTCOME_UNKNOWN,
}


def _application_error(error: CarrierError, attempt: int) -> ApplicationError:
    delay = error.retry_after
    if isinstance(error, ServerError):
        delay = max(delay or 0.0, SERVER_ERROR_DELAYS[min(attempt, len(SERVER_ERROR_DELAYS)) - 1])
    return _failure(_TYPES[type(error)], error.says, error.code, retry_after=delay)


def _failure(kind: str, says: str, code: int | None = None, *, retry_after: float | None = None) -> ApplicationError:
    """Whether it is tried again is the retry policy's to say, by its type (workflows/retries.py)."""
    return ApplicationError(
        says,
        *([code] if code is not None else []),
        type=kind,
        next_retry_delay=timedelta(seconds=retry_after) if retry_after else None,
        category=ApplicationErrorCategory.BENIGN,  # expected; logged by us, with the fields that matter
    )


def _count(leg: Leg, outcome: str, code: int | None = None) -> None:
    request = leg.request
    metrics.SENDS.labels(
        kind=request.kind,
        country=request.recipient.country,
        channel=request.channel.value,
        outcome=outcome,
        code=metrics.code_label(code),
    ).inc()


def _about(leg: Leg) -> dict[str, Any]:
    request = leg.request
    return {
        "event_id": request.event_id,
        "kind": request.kind,
        "recipient": request.recipient.masked,
        "country": request.recipient.country,
    }


def _seen(work: asyncio.Future[Receipt]) -> None:
    if not work.cancelled():
        work.exception()


class _Heartbeat:
    """Tells Temporal every few seconds that this worker lives, so that a dead one is noticed soon."""

    async def __aenter__(self) -> None:
        self._beating = asyncio.create_task(self._beat())

    async def __aexit__(self, *_: object) -> None:
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY)
            activity.heartbeat()
