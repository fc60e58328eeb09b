"""One event's way to the handset, or to an operator."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from notifications.escalation import reason_for
    from notifications.notification import (
        NOBODY,
        CarrierReport,
        EscalationReason,
        Notice,
        NotificationRequest,
        Outcome,
        Role,
        Step,
    )
    from notifications.operator_text import OperatorText
    from notifications.plan import Channel
    from notifications.policy import Rung
    from notifications.report import OVERDUE
    from notifications.status import DeliveryStatus
    from workflows import names, outside, search_attributes
    from workflows.text import Text, wait

_TROUBLE = {EscalationReason.NOT_ACKNOWLEDGED: "Not acknowledged"}


@workflow.defn(name="Notification")
class Notification(Text):
    """Sends one text (or call) and follows it until a final status, or until operators know.

    An event with several steps, reminders or a ladder, starts over with the next one: one run for each.
    """

    @workflow.init
    def __init__(self, request: NotificationRequest) -> None:
        super().__init__(request)
        self._next: NotificationRequest | None = None  # what it starts over with: another leg, step or time
        self._released = False  # from here on it may be at Twilio
        self._acknowledged_by: str | None = None
        self._called_off = False  # no further steps
        self._overdue = False  # it has no end, and its time is over
        self._told: str | None = None  # what its caller was told last

    @workflow.run
    async def run(self, request: NotificationRequest) -> Outcome:
        course = asyncio.create_task(self._course())
        reporting = asyncio.create_task(self._keep_caller_told()) if request.report_to_caller else None
        await workflow.wait_condition(lambda: course.done() or self._next is not None or _broken([reporting]))
        for task in (course, reporting):
            if task is not None and task.done():
                task.result()  # a bug fails the workflow task here, and a mended worker carries on from it
        if reporting is not None:
            await workflow.wait_condition(lambda: self._news is None or _broken([reporting]))
            if reporting.done():
                reporting.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._next is not None:
            workflow.continue_as_new(
                self._next,
                search_attributes=search_attributes.at_start(self._next),
                # A run ends on the version that began it; the next step need not, and may be months away.
                initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )
        return self._outcome()

    async def _course(self) -> None:
        began = workflow.now()
        dropping = asyncio.create_task(outside.drop_stale(self._request)) if self._request.supersedes else None
        await self._settle_in()
        await self._hold()
        if not self._status.final:
            await self._follow()
        if self._request.acknowledge_within is not None:
            await self._climb(began + self._request.acknowledge_within)
        if dropping is not None:
            await dropping
        await self._go_on()

    async def _keep_caller_told(self) -> None:
        """Of each end at once: what nobody can tell, or is overdue, may still turn out."""
        while True:
            await workflow.wait_condition(lambda: self._news is not None)
            news = self._news
            await outside.report_to_caller(self._outcome())
            self._told = news

    @property
    def _news(self) -> str | None:
        """What its caller has not been told of yet."""
        news = self._status.value if self._settled else OVERDUE if self._overdue else None
        return news if news != self._told else None

    async def _settle_in(self) -> None:
        """What comes before the first text of an incident, and before each further step."""
        request = self._request
        if request.planned:
            await outside.turn_to(request)
        if request.resolves and request.recipient == NOBODY:
            await self._resolve()
        elif request.storm is not None:
            await self._join()

    async def _resolve(self) -> None:
        told = await outside.resolve(self._request)
        if not told:
            self._move(DeliveryStatus.SUPPRESSED, "Nobody had been alerted.")
            return
        steps = tuple(Step(recipient=one, channel=Channel.SMS, body=self._request.body) for one in told)
        await self._start_over(self._request.model_copy(update={"steps": steps}).following(workflow.now(), self._leg))

    async def _join(self) -> None:
        """An alert of an incident that was told of already is held for a digest, or told of by one."""
        admission = await outside.admit(self._request)
        if admission.role is Role.FIRST:
            return
        self._request = self._request.model_copy(update={"steps": (), "acknowledge_within": None})
        if admission.role is Role.FOLDED:
            self._move(DeliveryStatus.SUPPRESSED, f"Folded into {admission.into}, which tells of it.")
            return
        assert admission.until is not None
        self._move(
            DeliveryStatus.HELD, f"Held until {admission.until:%H:%M:%S} UTC: the digest of what comes meanwhile."
        )
        await wait(lambda: self._status.final, admission.until - workflow.now(), "what comes meanwhile")
        digest = await outside.close_digest(self._request)  # also of a canceled one: others must not fold into it
        if digest.count == 0:
            self._move(DeliveryStatus.CANCELED, "The incident was resolved meanwhile.")
        self._request = self._request.model_copy(update={"body": digest.body})

    async def _hold(self) -> None:
        """Waits for its time; until then it may be canceled or rescheduled."""
        request = self._request
        if (not_before := request.not_before) is not None and self._leg == request.first_leg:
            if not_before >= request.stale_at:
                await outside.expire(request)
                self._move(DeliveryStatus.EXPIRED, f"{request.waits_for.capitalize()} end too late for it.")
            elif (pause := not_before - workflow.now()) > timedelta(0):
                self._move(DeliveryStatus.HELD, f"Held until {not_before:%Y-%m-%d %H:%M} UTC: {request.waits_for}.")
                await wait(lambda: self._status.final, pause, request.waits_for)
        self._released = True

    async def _follow(self) -> None:
        tasks = asyncio.create_task(self._deadline()), asyncio.create_task(self._send())
        await workflow.wait_condition(lambda: self._settled or self._past_deadline or _broken(tasks))
        for task in tasks:
            if task.done():
                task.result()  # a bug fails the workflow task here, and a mended worker carries on from it
        if not self._settled and self._sid:
            await self._ask_carrier()  # the callback may be lost: ask before calling it late
        if self._request.acknowledge_within is not None:
            return  # the ladder is climbed
        if self._status not in (DeliveryStatus.DELIVERED, DeliveryStatus.SUPPRESSED):
            self._overdue = not self._settled
            await self._escalate(reason_for(self._status, self._sid))
            await self._listen_on()

    async def _climb(self, until: datetime) -> None:
        """Waits for an acknowledgement as long as the text may have got through; operators are told in their turn."""
        await wait(lambda: self._taken_care_of or not self._reached, until - workflow.now(), "an acknowledgement")
        while not self._taken_care_of and self._request.steps and self._request.steps[0].channel is Channel.OPERATIONS:
            operators, *further = self._request.steps
            self._request = self._request.model_copy(update={"steps": tuple(further)})
            patience = operators.acknowledge_within if further else None
            await self._escalate(EscalationReason.NOT_ACKNOWLEDGED, lambda: self._taken_care_of, patience)
            await wait(lambda: self._taken_care_of, operators.acknowledge_within or timedelta(0), "an acknowledgement")

    async def _go_on(self) -> None:
        """Takes the next step of the plan, if there is one and it is still needed."""
        steps = self._request.steps
        if not steps or self._called_off or self._taken_care_of:
            return
        while len(steps) > 1 and steps[1].not_before is not None and steps[1].not_before <= workflow.now():
            steps = steps[1:]  # late as it is, the one after it says the same
        request = self._request.model_copy(update={"steps": steps, "escalated": self._climbs or self._escalated})
        await self._start_over(request.following(workflow.now(), self._leg + 1))

    async def _start_over(self, request: NotificationRequest) -> None:
        self._next = request
        await workflow.wait_condition(lambda: False)  # this run ends here

    @workflow.signal(name=names.FINAL_STATUS, description="Twilio's final status callback")
    def final_status(self, report: CarrierReport) -> None:
        if report.leg != self._leg and (
            report.status is not DeliveryStatus.DELIVERED or report.leg < self._request.first_leg
        ):
            return  # of an earlier leg only a delivery of the same text counts: the recipient has it
        if report.leg == self._leg and self._sid not in (None, report.sid):
            return  # another message of this leg; the timeline has it, and operators are told
        self._take(report)

    @workflow.signal(name=names.RESEND, description="An operator has ordered the text to be sent again")
    def resend(self, request: NotificationRequest) -> None:
        if request.leg > self._leg:
            self._next = request

    @workflow.signal(name=names.SECOND_MESSAGE, description="Two messages report for one leg")
    def second_message(self) -> None:
        workflow.upsert_search_attributes([search_attributes.DUPLICATE_SEND.value_set(True)])

    @workflow.update(name=names.CANCEL, description="What is still held is not sent any more")
    def cancel(self) -> Outcome:
        self._called_off = True
        if not self._released:
            self._move(DeliveryStatus.CANCELED, "Canceled before it was sent.")
        return self._outcome()

    @cancel.validator
    def _cancelable(self) -> None:
        held = not self._released and not self._status.final
        more = bool(self._request.steps) and not self._climbs and not self._called_off
        if not held and not more:
            raise ApplicationError("It is being sent, or has ended.", self._status.value, type=names.TOO_LATE)

    @workflow.update(name=names.RESCHEDULE, description="What is still held gets other times")
    def reschedule(self, request: NotificationRequest) -> None:
        self._next = request.model_copy(update={"leg": self._leg, "first_leg": self._leg, "planned": True})

    @reschedule.validator
    def _reschedulable(self, request: NotificationRequest) -> None:
        if self._released or self._status.final or self._next is not None:
            raise ApplicationError("It is being sent, or has ended.", self._status.value, type=names.TOO_LATE)

    @workflow.update(name=names.ACKNOWLEDGE, description="Somebody takes care of it: the ladder stops")
    def acknowledge(self, by: str) -> Outcome:
        if self._acknowledged_by is None:
            self._acknowledged_by = by
            workflow.upsert_search_attributes([search_attributes.ACKNOWLEDGED.value_set(True)])
            self._show(f"Acknowledged ({by}).")
        return self._outcome()

    @workflow.update(name=names.ACCEPTED, description="Answers when Twilio has accepted or refused the text")
    async def accepted(self) -> Outcome:
        await workflow.wait_condition(
            lambda: (
                self._sid is not None
                or self._status.final
                or self._status is DeliveryStatus.HELD
                or self._in_doubt
                or self._next is not None
            )
        )
        return self._outcome()

    @property
    def _climbs(self) -> bool:
        """Whether further steps are rungs of a ladder, which an acknowledgement stops."""
        return self._request.acknowledge_within is not None

    @property
    def _taken_care_of(self) -> bool:
        return self._acknowledged_by is not None

    @property
    def _reached(self) -> bool:
        """Whether an acknowledgement may come of it."""
        return self._status in (DeliveryStatus.DELIVERED, DeliveryStatus.SENT)

    async def _escalate(
        self, reason: EscalationReason, over: Callable[[], bool] | None = None, patience: timedelta | None = None
    ) -> None:
        """Tells operators; stops when it is over: the handset turns out to have the text after all, say."""
        over = over or (lambda: self._status is DeliveryStatus.DELIVERED)
        self._escalated = True
        workflow.upsert_search_attributes([search_attributes.ESCALATED.value_set(True)])
        self._show(f"{_TROUBLE.get(reason, 'Not delivered')} ({reason.value}). Operators are being told.")
        for rung in self._request.policy.ladder:
            if not over():
                await self._until(over, self._tell_operators(rung, reason), patience)
        self._show(f"{_TROUBLE.get(reason, 'Not delivered')} ({reason.value}). Operators know.")

    async def _until(
        self, over: Callable[[], bool], rung: Coroutine[Any, Any, None], patience: timedelta | None
    ) -> None:
        climbing = asyncio.create_task(rung)
        at_most = self._until_next_step() if patience is None else patience
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: climbing.done() or over(), timeout=at_most, timeout_summary=OperatorText("operators are told")
            )
        if not climbing.done():
            climbing.cancel()

    async def _listen_on(self) -> None:
        """A late delivery closes the case that the escalation opened; until the next step is due."""
        at_most = self._request.policy.listen_for
        if (rest := self._until_next_step()) is not None:
            at_most = min(at_most, rest)
        if not self._status.final:
            await wait(lambda: self._status.final, at_most, "late callbacks")
        if self._status is DeliveryStatus.DELIVERED:
            for rung in self._request.policy.ladder[:1]:
                await self._tell_operators(rung, EscalationReason.RECOVERED)

    def _until_next_step(self) -> timedelta | None:
        """How long this step may still take; None for as long as it wants."""
        if not self._request.steps or self._request.steps[0].not_before is None or self._called_off:
            return None
        return max(self._request.steps[0].not_before - workflow.now(), timedelta(0))

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
        await outside.tell_operators(notice, rung)


def _broken(tasks: Iterable[asyncio.Task[None] | None]) -> bool:
    return any(task is not None and task.done() and task.exception() is not None for task in tasks)
