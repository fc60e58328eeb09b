"""What callers are told of how their events ended: written down first, then tried for days."""

from datetime import timedelta

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.signed_post import post
from notifications.endpoints import Endpoints
from notifications.notification import EscalationReason, Notice, Outcome
from notifications.report import Report
from store.cases import Cases, NotKept
from store.outbox import Outbox, Webhook, WebhookState
from store.timeline import Entry, Timeline
from telemetry import metrics
from workflows import names
from workflows.dispatch import Dispatch

log = structlog.stdlib.get_logger("heliograph.reports")


class Reports:
    """Repeats carry the same webhook-id, so that receivers can drop them."""

    def __init__(
        self, outbox: Outbox, timeline: Timeline, cases: Cases, dispatch: Dispatch, endpoints: Endpoints
    ) -> None:
        self._outbox = outbox
        self._timeline = timeline
        self._cases = cases
        self._dispatch = dispatch
        self._endpoints = endpoints

    @activity.defn(name=names.REPORT_TO_CALLER)
    async def report_to_caller(self, outcome: Outcome) -> None:
        """Has the caller told how it stands. Raises SQLAlchemyError, RPCError; retried."""
        record = await self._timeline.record(outcome.event_id)
        if record is None:
            return  # erased with all that was known of it
        report = Report(
            event_id=outcome.event_id,
            kind=record.kind,
            leg=outcome.leg,
            status=outcome.status,
            sid=outcome.sid,
            error_code=outcome.error_code,
            escalated=outcome.escalated,
        )
        await self._outbox.add(report, record.caller)
        await self._dispatch.send_webhook(report.id, record.caller)

    @activity.defn(name=names.POST_WEBHOOK)
    async def post_webhook(self, webhook_id: str) -> None:
        """Posts a webhook, unless it was taken already or its endpoint is disabled.

        Raises ApplicationError of these types:
            EndpointGone: 410. Not retried.
            WebhookNotTaken: any other answer but 2xx, or none. Retried, after `Retry-After` where given.
        """
        webhook = await self._outbox.get(webhook_id)
        if webhook is None or webhook.state is not WebhookState.PENDING:
            return
        endpoint = self._endpoints.of(webhook.caller)
        if endpoint is None or await self._outbox.disabled(webhook.caller, endpoint.url):
            await self._outbox.settle(webhook, WebhookState.WITHHELD)
            return
        answer = await post(endpoint, webhook.id, webhook.body)
        metrics.count_webhook("caller", webhook.caller, "taken" if answer.taken else "not_taken")
        if answer.taken:
            await self._outbox.taken(webhook)
            what = webhook.id.rpartition("/")[2]
            await self._timeline.note(webhook.event_id, Entry("told_caller", detail=f"{what}: webhook was taken"))
            return
        await self._outbox.not_taken(webhook, answer.says)
        log.warning("webhook not taken", event_id=webhook.event_id, caller=webhook.caller, says=answer.says)
        raise ApplicationError(
            answer.says,
            type=names.ENDPOINT_GONE if answer.gone else "WebhookNotTaken",
            next_retry_delay=timedelta(seconds=answer.retry_after) if answer.retry_after else None,
            category=ApplicationErrorCategory.BENIGN,  # expected; logged by us
        )

    @activity.defn(name=names.GIVE_UP_WEBHOOK)
    async def give_up_webhook(self, webhook_id: str, gone: bool) -> None:
        """It was tried for days, or its endpoint is `gone`. Where that took nothing else either, it is disabled, and
        operators are told. Raises SQLAlchemyError, RPCError; retried."""
        webhook = await self._outbox.get(webhook_id)
        if webhook is None or webhook.state is not WebhookState.PENDING:
            return
        entry = Entry("caller_not_told", detail=f"given up after {webhook.attempts} attempts: {webhook.answer}")
        await self._timeline.note(webhook.event_id, entry)
        endpoint = self._endpoints.of(webhook.caller)
        if endpoint is not None and await self._outbox.disable(webhook, endpoint.url, gone=gone):
            log.error("endpoint disabled", caller=webhook.caller, says=webhook.answer)
            await self._tell_operators(webhook)
        if not await self._outbox.settle(webhook, WebhookState.FAILED):
            return  # an operator has ordered it to be sent: its workflow tries it again
        metrics.count_webhook("caller", webhook.caller, "given_up")

    async def _tell_operators(self, webhook: Webhook) -> None:
        try:
            case = await self._cases.of(webhook.event_id)
        except NotKept:
            case = None
        if case is None:
            return  # the log has said it
        notice = Notice(
            request=case.request,
            reason=EscalationReason.ENDPOINT_DISABLED,
            status=case.status,
            sid=case.sid,
            error_code=None,
            deadline=case.request.policy.deliver_within,
            leg=case.leg_number,
        )
        about = f"endpoint/{webhook.caller}/{webhook.created_at:%Y-%m-%dT%H:%M:%S}"
        await self._dispatch.notify_operators(notice, about=about)
