"""One text (or call): sent, settled when its answer was lost, and followed by what Twilio reports."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from notifications.notification import CarrierReport, Leg, NotificationRequest, Outcome
    from notifications.operator_text import OperatorText
    from notifications.policy import WhenUnknown
    from notifications.status import DeliveryStatus, advance
    from workflows import names, outside, search_attributes
    from workflows.details import details

# When a lost answer is asked after, from the moment it was lost: Twilio's list lags.
# Sooner where it is sent again then.
ASK_AFTER = {
    WhenUnknown.HOLD: (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2)),
    WhenUnknown.RESEND: (timedelta(seconds=3), timedelta(seconds=10), timedelta(seconds=20)),
}

_FAILED_AS = {
    names.REFUSED: DeliveryStatus.FAILED,
    names.SUPPRESSED: DeliveryStatus.SUPPRESSED,
    names.STALE: DeliveryStatus.EXPIRED,
}


class Text:
    """What is known of it. The first final status stands."""

    def __init__(self, request: NotificationRequest) -> None:
        self._request = request
        self._leg = request.leg
        self._status = DeliveryStatus.PENDING
        self._sid: str | None = None
        self._error_code: int | None = None
        self._escalated = request.escalated
        self._in_doubt = False  # a send has ended without telling what became of it
        self._past_deadline = False
        self._show("Waits to be sent.")

    @property
    def _settled(self) -> bool:
        """Nothing more is to be waited for: a final status, or a send that nobody can tell the end of."""
        return self._status.final or (self._in_doubt and self._sid is None)

    async def _deadline(self) -> None:
        await workflow.sleep(self._request.policy.deliver_within, summary=OperatorText("delivery deadline"))
        self._past_deadline = True

    async def _send(self) -> None:
        """Sends; where nobody can tell what became of it, the kind's policy says whether it is sent once more."""
        if await self._send_leg():
            return
        if self._request.policy.when_unknown is WhenUnknown.RESEND and not self._past_deadline:
            self._leg += 1
            self._show("It may not have been sent. Sending it once more.")
            if await self._send_leg():
                return
        self._in_doubt = True

    async def _send_leg(self) -> bool:
        """Sends one leg and races the callback: a final status that comes first ends any retry that is pending.

        False when nobody can tell whether Twilio has it.
        """
        delivery = outside.deliver(Leg(request=self._request, number=self._leg))
        await workflow.wait_condition(lambda: delivery.done() or self._status.final)
        if self._status.final:
            delivery.cancel()
            return True
        try:
            receipt = await delivery
        except ActivityError as failure:
            return await self._take_failure(failure)
        self._sid = receipt.sid
        self._move(DeliveryStatus.SENT, f"Twilio has it ({receipt.carrier_status}); waits for the handset.")
        return True

    async def _take_failure(self, failure: ActivityError) -> bool:
        cause = failure.cause
        kind = cause.type if isinstance(cause, ApplicationError) else None
        if kind in _FAILED_AS:
            assert isinstance(cause, ApplicationError)
            self._error_code = next((code for code in cause.details if isinstance(code, int)), None)
            self._move(_FAILED_AS[kind], cause.message)
            return True
        return await self._settle_unknown()

    async def _settle_unknown(self) -> bool:
        """The send ended and nobody said how: the callback tells, else the ledger and Twilio's list are asked."""
        self._move(DeliveryStatus.UNKNOWN, "It may have been sent. Asking Twilio.")
        for pause in ASK_AFTER[self._request.policy.when_unknown]:
            await wait(lambda: self._sid is not None or self._past_deadline, pause, "before asking Twilio")
            if self._sid is None:
                await self._ask_carrier()
            if self._sid is not None or self._status.final:
                return True
            if self._past_deadline:
                break
        return False

    async def _ask_carrier(self) -> None:
        inquiry = await outside.ask_carrier(Leg(request=self._request, number=self._leg))
        if inquiry is None:
            return
        if inquiry.report is not None:
            self._take(inquiry.report)
        elif not inquiry.posted:
            self._move(DeliveryStatus.EXPIRED, "Twilio never took it, and it is too late now.")

    def _take(self, report: CarrierReport) -> None:
        self._sid = self._sid or report.sid
        if self._status.final:
            return  # the first final status stands; what comes after it is in the timeline
        if report.status.final:
            self._error_code = report.error_code
        says = (
            "The handset has it." if report.status is DeliveryStatus.DELIVERED else f"Twilio: {report.carrier_status}."
        )
        self._move(report.status, says)

    def _move(self, status: DeliveryStatus, says: str) -> None:
        """Moves forward, never back, and shows it in Temporal's UI."""
        moved = advance(self._status, status)
        if moved is self._status:
            return
        self._status = moved
        changes: list[SearchAttributeUpdate[Any]] = [search_attributes.STATUS.value_set(moved.value)]
        if self._sid is not None:
            changes.append(search_attributes.MESSAGE_SID.value_set(self._sid))
        if self._error_code is not None:
            changes.append(search_attributes.ERROR_CODE.value_set(self._error_code))
        workflow.upsert_search_attributes(changes)
        self._show(says)

    def _show(self, says: str) -> None:
        request = self._request
        shown = details(
            request.event_id,
            self._status,
            says,
            request.recipient,
            self._sid,
            self._error_code,
            escalated=self._escalated,
        )
        workflow.set_current_details(shown)

    def _outcome(self) -> Outcome:
        return Outcome(
            event_id=self._request.event_id,
            status=self._status,
            sid=self._sid,
            error_code=self._error_code,
            escalated=self._escalated,
            leg=self._leg,
            request_id=self._request.request_id,
            content_hash=self._request.content_hash,
        )


async def wait(condition: Callable[[], bool], at_most: timedelta, summary: str) -> None:
    """Until the condition holds, or the time is over."""
    if at_most <= timedelta(0):
        return
    with suppress(TimeoutError):
        await workflow.wait_condition(condition, timeout=at_most, timeout_summary=OperatorText(summary))
