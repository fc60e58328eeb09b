"""The sweep: what was accepted and has no final status is looked into, mended, or told to operators."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.look_up import LookUp
from carrier.errors import CarrierError
from notifications.notification import CarrierReport, EscalationReason, Notice, Swept
from notifications.status import DeliveryStatus
from store.cases import Case, Cases
from store.outbox import Outbox, Webhook
from store.timeline import Entry, Timeline
from telemetry import metrics
from workflows import names, search_attributes
from workflows.dispatch import Dispatch, Run

AT_MOST = 500  # cases per sweep; the others are the next one's
ASKS_PER_SECOND = 5.0  # of Twilio, which also has sends to take
ENOUGH = timedelta(minutes=4)  # a sweep stops before its activity times out
WEBHOOK_IDLE = timedelta(hours=5)  # longer than the longest pause between two tries of one (workflows/caller_webhook)
OVERDUE = timedelta(minutes=10)  # an open workflow should have told operators long before

_ENDED_BY_HAND = (WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.CANCELED)

log = structlog.stdlib.get_logger("heliograph.reconcile")


class Reconcile:
    """Compares SQL with Temporal, and both with Twilio."""

    def __init__(
        self,
        cases: Cases,
        timeline: Timeline,
        outbox: Outbox,
        look_up: LookUp,
        dispatch: Dispatch,
        *,
        quiet: timedelta,
    ) -> None:
        """`quiet` is how long a notification may be without news before it is looked into, and between looks."""
        self._cases = cases
        self._timeline = timeline
        self._outbox = outbox
        self._look_up = look_up
        self._dispatch = dispatch
        self._quiet = quiet

    @activity.defn(name=names.RECONCILE)
    async def reconcile(self) -> Swept:
        """One sweep. Raises SQLAlchemyError when the database is away."""
        began = datetime.now(UTC)
        cases = await self._cases.due(quiet_since=began - self._quiet, now=began, at_most=AT_MOST)
        done: list[str] = []
        for case in cases:
            if datetime.now(UTC) - began > ENOUGH or activity.is_worker_shutdown():
                break
            done.append(await self._safely(case))
            activity.heartbeat(len(done))
        swept = Swept(
            looked_at=len(done),
            settled=done.count("settled"),
            restarted=done.count("restarted"),
            told=done.count("told"),
            unanswered=done.count("unanswered"),
        )
        for result in done:
            metrics.SWEPT.labels(result=result).inc()
        metrics.SWEPT_AT.set_to_current_time()
        waiting = await self._outbox.waiting(
            untried_since=began - self._quiet, tried_before=began - WEBHOOK_IDLE, at_most=AT_MOST
        )
        await self._send(waiting)
        if swept.looked_at:
            log.info("swept", **swept.model_dump())
        return swept

    async def _send(self, waiting: list[Webhook]) -> None:
        """Has webhooks to callers sent that nobody seems to be trying."""
        try:
            for webhook in waiting:
                await self._dispatch.send_webhook(webhook.id, webhook.caller)
        except (RPCError, RuntimeError) as failure:
            log.warning("the next sweep sends webhooks that wait", error=type(failure).__name__)

    async def _safely(self, case: Case) -> str:
        try:
            return await self._examine(case)
        except (CarrierError, RPCError, RuntimeError) as failure:
            log.warning("could not look into it", event_id=case.event_id, error=type(failure).__name__)
            return "unanswered"

    async def _examine(self, case: Case) -> str:
        run = await self._dispatch.run(case.event_id)
        if case.status.final:
            return await self._bad_end(case, run)
        if run is not None and run.open:
            return await self._open_workflow(case, run)
        if run is not None and run.status is WorkflowExecutionStatus.COMPLETED:
            return await self._ended_workflow(case)
        if run is not None and run.status in _ENDED_BY_HAND and not case.posted:
            entry = Entry("abandoned", detail="its workflow was ended by hand; nothing was sent")
            await self._timeline.note(case.event_id, entry, status=DeliveryStatus.CANCELED)
            return await self._tell(case, EscalationReason.ABANDONED, DeliveryStatus.CANCELED)
        return await self._restart(case)

    async def _bad_end(self, case: Case, run: Run | None) -> str:
        """SQL knows that it failed, and nobody was told: the signal was lost, or the workflow was."""
        if run is not None and run.open:
            if case.sid is not None:
                report = CarrierReport(
                    sid=case.sid,
                    carrier_status=case.carrier_status or case.status,
                    status=case.status,
                    error_code=case.error_code,
                    leg=case.leg_number,
                )
                await self._dispatch.final_status(case.event_id, report)
            return "waits"  # it tells operators by itself
        reason = EscalationReason.NOT_DELIVERED if case.sid else EscalationReason.REFUSED
        return await self._tell(case, reason, case.status)

    async def _open_workflow(self, case: Case, run: Run) -> str:
        """Callbacks may have been lost while its deadline is far away; or nothing moves it."""
        if case.opened_at is not None and case.leg_number > 1:
            # An operator's leg, ordered while Temporal was away; a run that has begun with it takes no notice.
            await self._dispatch.resend(case.request.model_copy(update={"accepted_at": case.opened_at}))
        report = await self._ask(case) if case.posted else None
        if report is not None and report.status.final:
            await self._look_up.note(case.leg, report)
            await self._dispatch.final_status(case.event_id, report)
            return "settled"
        begins = max(run.started_at, case.request.not_before or run.started_at)
        due = begins + case.request.policy.deliver_within + OVERDUE
        if datetime.now(UTC) > due and not run.attributes.get(search_attributes.ESCALATED):
            return await self._tell(case, EscalationReason.STUCK, case.status)
        return "waits"

    async def _ended_workflow(self, case: Case) -> str:
        """It knows more than SQL, whose writes may have failed; or it has listened long enough and given up."""
        outcome = await self._dispatch.outcome(case.event_id)
        if outcome.leg < case.leg_number:
            return await self._restart(case)  # an operator's leg, ordered while Temporal was away
        if outcome.status.final:
            entry = Entry("reconciled", sid=outcome.sid, error_code=outcome.error_code, detail="its workflow knew")
            await self._timeline.note(case.event_id, entry, status=outcome.status, error_code=outcome.error_code)
            return "settled"
        report = await self._ask(case)
        if report is not None and report.status.final:
            await self._look_up.note(case.leg, report)
            if report.status is DeliveryStatus.DELIVERED:
                await self._tell(case, EscalationReason.RECOVERED, report.status)
            return "settled"
        if case.escalated is None:
            reason = EscalationReason.SILENT if case.sid else EscalationReason.UNKNOWN
            return await self._tell(case, reason, case.status)
        return "waits"

    async def _restart(self, case: Case) -> str:
        """Its workflow was deleted, or Temporal has lost it. The ledger keeps what was posted from being posted again;
        the workflow asks Twilio what became of it, and tells operators if need be."""
        if not await self._dispatch.restart(case.request):
            return "waits"
        await self._timeline.note(case.event_id, Entry("restarted", detail="its workflow was gone"))
        log.warning("restarted", event_id=case.event_id, kind=case.request.kind)
        return "restarted"

    async def _ask(self, case: Case) -> CarrierReport | None:
        await asyncio.sleep(1 / ASKS_PER_SECOND)
        return (await self._look_up.ask(case.leg)).report

    async def _tell(self, case: Case, reason: EscalationReason, status: DeliveryStatus) -> str:
        notice = Notice(
            request=case.request,
            reason=reason,
            status=status,
            sid=case.sid,
            error_code=case.error_code,
            deadline=case.request.policy.deliver_within,
            leg=case.leg_number,
        )
        return "told" if await self._dispatch.notify_operators(notice) else "waits"
