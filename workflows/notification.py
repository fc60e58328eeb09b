"""One event's way to the handset, or to an operator."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from notifications.notification import (
        CarrierReport,
        EscalationReason,
        Inquiry,
        Leg,
        Notice,
        NotificationRequest,
        Outcome,
        Receipt,
    )
    from notifications.operator_text import OperatorText
    from notifications.policy import Rung, WhenUnknown
    from notifications.status import DeliveryStatus, advance
    from workflows import names, search_attributes
    from workflows.retries import ASK_RETRY, SEND_RETRY, WEBHOOK_RETRY

# The HTTP read time-out is at most 40 s (settings); a send may take that long and must not be called dead before.
SEND_TAKES_AT_MOST = timedelta(seconds=60)
SEND_HEARTBEAT = timedelta(seconds=15)
# Longer than the longest pause between attempts, so that the last attempt finds for itself that it is too late.
STALE_MARGIN = timedelta(minutes=5)
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


@workflow.defn(name="Notification")
class Notification:
    """Sends one text and follows it until a final status, or until operators know."""

    @workflow.init
    def __init__(self, request: NotificationRequest) -> None:
        self._request = request
        self._leg = request.leg
        self._ordered: NotificationRequest | None = None  # another leg, by an operator
        self._status = DeliveryStatus.PENDING
        self._sid: str | None = None
        self._error_code: int | None = None
        self._escalated = False
        self._in_doubt = False  # a send has ended without telling what became of it
        self._past_deadline = False
        self._released = False  # from here on it may be at Twilio
        self._show("Waits to be sent.")

    @workflow.run
    async def run(self, request: NotificationRequest) -> Outcome:
        course = asyncio.create_task(self._course())
        await workflow.wait_condition(lambda: course.done() or self._ordered is not None)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._ordered is not None:
            workflow.continue_as_new(self._ordered, search_attributes=search_attributes.at_start(self._ordered))
        return course.result()

    async def _course(self) -> Outcome:
        await self._hold()
        if not self._status.final:
            await self._follow()
        await self._report_to_caller()
        return self._outcome()

    async def _hold(self) -> None:
        """Waits for the end of the quiet hours; until then it may be canceled."""
        not_before = self._request.not_before
        if not_before is not None and self._leg == 1 and (pause := not_before - workflow.now()) > timedelta(0):
            self._move(DeliveryStatus.HELD, f"Held until {not_before:%Y-%m-%d %H:%M} UTC: quiet hours.")
            await _wait(lambda: self._status.final, pause, "quiet hours")
        self._released = True

    async def _follow(self) -> None:
        tasks = asyncio.create_task(self._deadline()), asyncio.create_task(self._send())
        await workflow.wait_condition(lambda: self._settled or self._past_deadline or _broken(tasks))
        for task in tasks:
            if task.done():
                task.result()  # a bug fails the workflow task here, and a mended worker carries on from it
        if not self._settled and self._sid:
            await self._ask_carrier()  # the callback may be lost: ask before calling it late
        if self._status not in (DeliveryStatus.DELIVERED, DeliveryStatus.SUPPRESSED):
            await self._escalate(self._reason())
            await self._listen_on()

    @workflow.signal(name=names.FINAL_STATUS, description="Twilio's final status callback")
    def final_status(self, report: CarrierReport) -> None:
        if report.leg != self._leg and report.status is not DeliveryStatus.DELIVERED:
            return  # of an earlier leg only a delivery counts: the recipient has the text
        if report.leg == self._leg and self._sid not in (None, report.sid):
            return  # another message of this leg; the timeline has it, and operators are told
        self._take(report)

    @workflow.signal(name=names.RESEND, description="An operator has ordered the text to be sent again")
    def resend(self, request: NotificationRequest) -> None:
        if request.leg > self._leg:
            self._ordered = request

    @workflow.signal(name=names.SECOND_MESSAGE, description="Two messages report for one leg")
    def second_message(self) -> None:
        workflow.upsert_search_attributes([search_attributes.DUPLICATE_SEND.value_set(True)])

    @workflow.update(name=names.CANCEL, description="Not sent any more, if it is still held")
    def cancel(self) -> Outcome:
        self._move(DeliveryStatus.CANCELED, "Canceled before it was sent.")
        return self._outcome()

    @cancel.validator
    def _cancelable(self) -> None:
        if self._released or self._status.final:
            raise ApplicationError("It is being sent, or has ended.", self._status.value, type=names.TOO_LATE)

    @workflow.update(name=names.ACCEPTED, description="Answers when Twilio has accepted or refused the text")
    async def accepted(self) -> Outcome:
        await workflow.wait_condition(
            lambda: (
                self._sid is not None
                or self._status.final
                or self._status is DeliveryStatus.HELD
                or self._in_doubt
                or self._ordered is not None
            )
        )
        return self._outcome()

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
        request = self._request
        delivery = workflow.start_activity(
            names.DELIVER,
            Leg(request=request, number=self._leg),
            result_type=Receipt,
            task_queue=names.SEND_QUEUE,
            summary=OperatorText(f"text {request.recipient.masked}"),
            start_to_close_timeout=SEND_TAKES_AT_MOST,
            heartbeat_timeout=SEND_HEARTBEAT,
            schedule_to_close_timeout=request.policy.stale_after + STALE_MARGIN,
            retry_policy=SEND_RETRY,
            priority=Priority(priority_key=int(request.policy.priority), fairness_key=request.caller),
        )
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
            await _wait(lambda: self._sid is not None or self._past_deadline, pause, "before asking Twilio")
            if self._sid is None:
                await self._ask_carrier()
            if self._sid is not None or self._status.final:
                return True
            if self._past_deadline:
                break
        return False

    async def _ask_carrier(self) -> None:
        try:
            inquiry = await workflow.execute_activity(
                names.ASK_CARRIER,
                Leg(request=self._request, number=self._leg),
                result_type=Inquiry,
                summary=OperatorText("what became of it?"),
                start_to_close_timeout=SEND_TAKES_AT_MOST,
                retry_policy=ASK_RETRY,
                priority=Priority(priority_key=int(self._request.policy.priority)),
            )
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
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

    async def _escalate(self, reason: EscalationReason) -> None:
        """Climbs the ladder; stops when the handset turns out to have the text after all."""
        self._escalated = True
        workflow.upsert_search_attributes([search_attributes.ESCALATED.value_set(True)])
        self._show(f"Not delivered ({reason.value}). Operators are being told.")
        for rung in self._request.policy.ladder:
            if self._status is not DeliveryStatus.DELIVERED:
                await self._until_delivered(self._tell_operators(rung, reason))
        self._show(f"Not delivered ({reason.value}). Operators know.")

    async def _until_delivered(self, rung: Coroutine[Any, Any, None]) -> None:
        climbing = asyncio.create_task(rung)
        await workflow.wait_condition(lambda: climbing.done() or self._status is DeliveryStatus.DELIVERED)
        if not climbing.done():
            climbing.cancel()

    async def _listen_on(self) -> None:
        """A late delivery closes the case that the escalation opened."""
        if not self._status.final:
            await _wait(lambda: self._status.final, self._request.policy.listen_for, "late callbacks")
        if self._status is DeliveryStatus.DELIVERED:
            for rung in self._request.policy.ladder[:1]:
                await self._tell_operators(rung, EscalationReason.RECOVERED)

    async def _tell_operators(self, rung: Rung, reason: EscalationReason) -> None:
        notice = Notice(
            request=self._request,
            reason=reason,
            status=self._status,
            sid=self._sid,
            error_code=self._error_code,
            deadline=self._request.policy.deliver_within,
            leg=self._leg,
        )
        try:
            await workflow.execute_activity(
                names.TELL_OPERATORS,
                notice,
                summary=OperatorText(f"operators: {reason.value}"),
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=rung.try_for,
                retry_policy=WEBHOOK_RETRY,
            )
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            workflow.logger.error("operators could not be told", extra={"reason": reason.value})

    async def _report_to_caller(self) -> None:
        if not self._request.report_to_caller:
            return
        try:
            await workflow.execute_activity(
                names.REPORT_TO_CALLER,
                self._outcome(),
                summary=OperatorText("webhook to the caller"),
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=timedelta(days=1),
                retry_policy=WEBHOOK_RETRY,
            )
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            workflow.logger.error("the caller could not be told")

    def _reason(self) -> EscalationReason:
        if self._status in (DeliveryStatus.UNDELIVERED, DeliveryStatus.CANCELED) or (
            self._status is DeliveryStatus.FAILED and self._sid is not None
        ):
            return EscalationReason.NOT_DELIVERED
        if self._status.final:
            return EscalationReason.REFUSED
        if self._status is DeliveryStatus.UNKNOWN:
            return EscalationReason.UNKNOWN
        return EscalationReason.SILENT if self._sid else EscalationReason.NOT_ACCEPTED

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
        lines = [f"**{self._status.value}** – {says}", "", f"- to {self._request.recipient.masked}"]
        if self._sid is not None:
            lines.append(f"- Message SID `{self._sid}`")
        if self._error_code is not None:
            lines.append(
                f"- Twilio error [{self._error_code}](https://www.twilio.com/docs/api/errors/{self._error_code})"
            )
        if self._escalated:
            lines.append("- escalated to operators")
        workflow.set_current_details("\n".join(lines))

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


async def _wait(condition: Callable[[], bool], at_most: timedelta, summary: str) -> None:
    with suppress(TimeoutError):
        await workflow.wait_condition(condition, timeout=at_most, timeout_summary=OperatorText(summary))


def _broken(tasks: Iterable[asyncio.Task[None]]) -> bool:
    return any(task.done() and task.exception() is not None for task in tasks)
