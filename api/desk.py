"""Takes events in: starts their workflows, recognises repeats, and answers what became of them."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from api import database
from api.drafting import Drafting
from api.problems import Problem, Unavailable
from notifications.event import Event
from notifications.notification import NotificationRequest, Outcome
from notifications.segments import Size, measure
from notifications.status import DeliveryStatus
from store.ledger import Ledger
from store.steps import StepRecords
from store.timeline import Record, Timeline
from store.vault import Vault
from telemetry import metrics
from workflows import names, search_attributes
from workflows.dispatch import Dispatch

PATIENCE = 2.5  # seconds for one call to Temporal; a caller hears of an outage within three

log = structlog.stdlib.get_logger("heliograph.api")


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of an event, were it posted now."""

    request: NotificationRequest
    size: Size
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an event that was taken in."""

    event_id: str
    content_hash: str | None
    status: DeliveryStatus
    sid: str | None = None
    error_code: int | None = None

    @property
    def settled(self) -> bool:
        """Twilio has it, or it has ended otherwise."""
        return self.sid is not None or self.status.final or self.status is DeliveryStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to a posted event: the first of its ID, or a repeat."""

    known: Known
    duplicate: bool


class Desk:
    """Temporal's workflow ID is the first guard against a repeat; the ledger answers after retention too."""

    def __init__(
        self,
        dispatch: Dispatch,
        ledger: Ledger,
        records: StepRecords,
        timeline: Timeline,
        drafting: Drafting,
        vault: Vault,
    ) -> None:
        self._vault = vault
        self.dispatch = dispatch
        self._ledger = ledger
        self._records = records
        self.timeline = timeline
        self.drafting = drafting

    async def take(self, event: Event, caller: str, wait: float | None) -> Taken:
        """Starts the event's workflow, or answers what the first one of this ID came to.

        `wait` seconds for Twilio's acceptance or refusal. Raises Problem: 400 too old, 409 other content, 503.
        """
        self.drafting.check(event)
        content_hash = self.drafting.content_hash(event, caller)
        known = None
        if (record := await self._record(event.event_id)) is not None:
            known = _same(_known(record), content_hash)
            if wait is None or known.settled:
                metrics.DUPLICATES.labels(guard="database").inc()
                return Taken(known, duplicate=True)
        try:
            request = self.drafting.request(event, caller)
        except Problem:
            if known is None:
                raise
            metrics.DUPLICATES.labels(guard="database").inc()
            return Taken(known, duplicate=True)  # it was in time when it came first
        request = await self._vault.seal(await self._superseding(request))
        try:
            taken = await (self._start(request) if wait is None else self._start_and_wait(request, wait))
        except WorkflowAlreadyStartedError:
            first = _same(await self._found(request.event_id), request.content_hash)
            metrics.DUPLICATES.labels(guard="workflow_id").inc()
            return Taken(first, duplicate=True)
        except (RPCError, RuntimeError, TimeoutError) as failure:
            log.warning("Temporal did not take it", event_id=request.event_id, error=what(failure))
            raise Unavailable("Temporal") from None
        if not taken.duplicate:
            await self._write_down(request)
        return taken

    def preview(self, event: Event, caller: str) -> Preview:
        """What would become of the event now; nothing is sent or kept. Raises Problem 400 as `take` does."""
        self.drafting.check(event)
        request = self.drafting.request(event, caller)
        return Preview(request, measure(request.body), self.drafting.refusal(request))

    async def look(self, event_id: str) -> Known | None:
        """What Temporal knows of an event that the database does not (yet) know. Raises Unavailable."""
        try:
            async with asyncio.timeout(PATIENCE):
                run = await self.dispatch.run(event_id)
        except (RPCError, RuntimeError, TimeoutError):
            raise Unavailable("Temporal") from None
        if run is None:
            return None
        return Known(
            event_id,
            run.content_hash,
            DeliveryStatus(run.attributes.get(search_attributes.STATUS) or DeliveryStatus.PENDING),
            run.attributes.get(search_attributes.MESSAGE_SID),
            run.attributes.get(search_attributes.ERROR_CODE),
        )

    async def _record(self, event_id: str) -> Record | None:
        """The database answers repeats, but an event is not lost when it is away: the other guards stand."""
        try:
            async with asyncio.timeout(database.PATIENCE):
                return await self.timeline.record(event_id)
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            log.warning("the database did not answer", event_id=event_id, error=what(failure))
            return None

    async def _superseding(self, request: NotificationRequest) -> NotificationRequest:
        """Spares the workflow the question where nothing is held that it would make stale, which is nearly always."""
        if not request.supersedes or request.subject_hash is None:
            return request
        try:
            async with asyncio.timeout(database.PATIENCE):
                held = await self._records.held(request.subject_hash, request.supersedes, request.accepted_at)
        except (SQLAlchemyError, OSError, TimeoutError):
            return request
        return request if held else request.model_copy(update={"supersedes": ()})

    async def _start(self, request: NotificationRequest) -> Taken:
        async with asyncio.timeout(PATIENCE):
            await self.dispatch.start(request)
        status = DeliveryStatus.HELD if request.not_before else DeliveryStatus.PENDING
        return Taken(Known(request.event_id, request.content_hash, status), duplicate=False)

    async def _write_down(self, request: NotificationRequest) -> None:
        """From now on SQL knows of it too, should Temporal lose it. Without the database the send writes it down."""
        try:
            async with asyncio.timeout(database.PATIENCE):
                await self._ledger.open(request)
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            log.warning("the database did not take the event", event_id=request.event_id, error=what(failure))

    async def _start_and_wait(self, request: NotificationRequest, wait: float) -> Taken:
        start = self.dispatch.with_start(request)
        try:
            async with asyncio.timeout(wait):
                # A fixed update ID: repeats attach to the first one's answer, after the workflow has closed too.
                outcome: Outcome = await self.dispatch.client.execute_update_with_start_workflow(
                    names.ACCEPTED, start_workflow_operation=start, id=names.ACCEPTED, result_type=Outcome
                )
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowUpdateFailedError):
            await _forget(start)
            # Whether it has started is the question; only if it has, the event is ours.
            known = _same(await self._found(request.event_id), request.content_hash)
            return Taken(known, duplicate=False)
        known = Known(outcome.event_id, outcome.content_hash, outcome.status, outcome.sid, outcome.error_code)
        duplicate = outcome.request_id != request.request_id
        if duplicate:
            metrics.DUPLICATES.labels(guard="update_id").inc()
        return Taken(_same(known, request.content_hash), duplicate=duplicate)

    async def _found(self, event_id: str) -> Known:
        """What is known of an event that is certainly there; if it is not, Temporal cannot be trusted right now."""
        record = await self._record(event_id)
        known = _known(record) if record is not None else await self.look(event_id)
        if known is None:
            raise Unavailable("Temporal")
        return known


async def _forget(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Takes the start's own outcome off asyncio's hands, which complains of failures that nobody has looked at."""
    handle = asyncio.ensure_future(start.workflow_handle())
    await asyncio.wait({handle}, timeout=0.05)
    if not handle.cancel() and not handle.cancelled():
        handle.exception()


def _same(known: Known, content_hash: str) -> Known:
    if known.content_hash is not None and known.content_hash != content_hash:
        metrics.DUPLICATES.labels(guard="content").inc()
        raise Problem(
            409,
            "event_id_reused",
            "Another event was posted under this eventId. Nothing was sent; give each event an ID of its own.",
        )
    return known


def _known(record: Record) -> Known:
    return Known(record.event_id, record.content_hash, record.status, record.sid, record.error_code)


def what(failure: BaseException) -> str:
    if isinstance(failure, RPCError):
        return f"{failure.status.name}: {failure.message}"
    return type(failure).__name__
