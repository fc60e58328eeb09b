"""What SQL and other workflows must know before an event's next text: its step, its incident, what it makes stale."""

import structlog
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from notifications.notification import Admission, Digest, NotificationRequest, Recipient, Role
from notifications.status import DeliveryStatus
from store.alerts import Alerts
from store.ledger import Ledger
from store.steps import StepRecords
from store.timeline import Entry, Timeline
from store.vault import Erased, Vault
from workflows import names
from workflows.dispatch import Dispatch

log = structlog.stdlib.get_logger("heliograph.steps")


class Steps:
    """Each may be repeated: what was done is not done again."""

    def __init__(
        self,
        ledger: Ledger,
        records: StepRecords,
        timeline: Timeline,
        alerts: Alerts,
        vault: Vault,
        dispatch: Dispatch,
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._records = records
        self._timeline = timeline
        self._alerts = alerts
        self._dispatch = dispatch

    @activity.defn(name=names.TURN_TO)
    async def turn_to(self, request: NotificationRequest) -> None:
        """From now on the event is at this step. Raises SQLAlchemyError; retried."""
        await self._records.turn_to(request)

    @activity.defn(name=names.ADMIT)
    async def admit(self, request: NotificationRequest) -> Admission:
        """Whether an alert is sent, held for a digest, or folded into one. Raises SQLAlchemyError; retried."""
        await self._ledger.open(request)
        admission = await self._alerts.admit(request)
        log.info("admitted", event_id=request.event_id, role=admission.role, into=admission.into)
        return admission

    @activity.defn(name=names.CLOSE_DIGEST)
    async def close_digest(self, request: NotificationRequest) -> Digest:
        """Fixes what a digest says. Raises SQLAlchemyError; retried."""
        assert request.storm is not None
        count = await self._alerts.close_digest(request)
        try:
            storm = await self._vault.storm(request.storm)
            reworded = await self._vault.reworded(request, storm.text(count)) if count else request
        except Erased:
            reworded = request  # the gate refuses it
        await self._records.reword(reworded)
        if count == 0:
            resolved = Entry("canceled", detail="the incident was resolved meanwhile")
            await self._timeline.note(request.event_id, resolved, status=DeliveryStatus.CANCELED)
        return Digest(count=count, body=reworded.body)

    @activity.defn(name=names.RESOLVE)
    async def resolve(self, request: NotificationRequest) -> list[Recipient]:
        """Ends the alerts of the incident; those who had been alerted. Raises SQLAlchemyError, RPCError; retried."""
        await self._ledger.open(request)
        ended = await self._alerts.resolve(request)
        for alert in ended:
            if alert.role is Role.DIGEST:
                await self._cancel(alert.event_id, f"resolved by {request.event_id}")
            elif await self._dispatch.acknowledge(alert.event_id, f"resolved by {request.event_id}"):
                entry = Entry("resolved", detail=f"by {request.event_id}")
                await self._timeline.note(alert.event_id, entry)
        alerted = await self._alerts.alerted([alert.event_id for alert in ended])
        says = f"{len(ended)} alerts ended, {len(alerted)} people to tell"
        status = None if alerted else DeliveryStatus.SUPPRESSED
        await self._timeline.note(request.event_id, Entry("resolved", detail=says), status=status)
        return alerted

    @activity.defn(name=names.EXPIRE)
    async def expire(self, request: NotificationRequest) -> None:
        """The step is not sent: its time comes too late. Raises SQLAlchemyError; retried."""
        await self._ledger.open(request)
        entry = Entry("expired", detail=f"{request.waits_for} end too late for it")
        await self._timeline.note(request.event_id, entry, status=DeliveryStatus.EXPIRED)

    @activity.defn(name=names.DROP_STALE)
    async def drop_stale(self, request: NotificationRequest) -> None:
        """Cancels what is held about the same subject and is stale now. Raises SQLAlchemyError, RPCError; retried."""
        if request.subject_hash is None:
            return
        for event_id in await self._records.held(request.subject_hash, request.supersedes, request.accepted_at):
            await self._cancel(event_id, f"superseded by {request.event_id}")

    async def _cancel(self, event_id: str, why: str) -> None:
        try:
            outcome = await self._dispatch.cancel(event_id)
        except WorkflowUpdateFailedError:
            return  # it is being sent already, or has ended
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return
            raise
        await self._timeline.note(event_id, Entry("canceled", detail=why), status=outcome.status)
        log.info("canceled", event_id=event_id, why=why)
