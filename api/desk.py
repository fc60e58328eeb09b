"""Takes events in: starts their workflows, recognises repeats, and answers what became of them."""

import asyncio
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from api.problems import Problem, Unavailable
from notifications import phone
from notifications.event import Event
from notifications.local_time import zones_of
from notifications.notification import NotificationRequest, Outcome, Recipient
from notifications.quiet_hours import QuietHours
from notifications.segments import Size, measure
from notifications.status import DeliveryStatus
from privacy.encryption import KeyedHash
from privacy.masking import mask
from store.ledger import Ledger
from store.timeline import Record, Timeline
from workflows import names, search_attributes
from workflows.dispatch import Dispatch

PATIENCE = 2.5  # seconds for one call to Temporal; a caller hears of an outage within three
DATABASE_PATIENCE = 2.0  # seconds

# None of them changes what is sent to whom: a repeat may word them differently.
NOT_CONTENT = {"region", "time_zone", "operator_note", "consent_at", "occurred_at"}

log = structlog.stdlib.get_logger("heliograph.api")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of events."""

    window: timedelta
    """How old an event may be."""
    report_to_callers: bool = False
    quiet_hours: QuietHours | None = None
    link_hosts: frozenset[str] = frozenset()
    """Where links may lead; empty for everywhere."""
    allowed_countries: frozenset[str] = frozenset()


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
        timeline: Timeline,
        hashes: KeyedHash,
        *,
        rules: Rules,
    ) -> None:
        self.dispatch = dispatch
        self._ledger = ledger
        self.timeline = timeline
        self._hashes = hashes
        self._rules = rules

    async def take(self, event: Event, caller: str, wait: float | None) -> Taken:
        """Starts the event's workflow, or answers what the first one of this ID came to.

        `wait` seconds for Twilio's acceptance or refusal. Raises Problem: 400 too old, 409 other content, 503.
        """
        self._check_age(event)
        self._check_links(event)
        request = self._request(event, caller)
        if (record := await self._record(request.event_id)) is not None:
            known = _same(_known(record), request)
            if wait is None or known.settled:
                return Taken(known, duplicate=True)
        try:
            taken = await (self._start(request) if wait is None else self._start_and_wait(request, wait))
        except WorkflowAlreadyStartedError:
            return Taken(_same(await self._found(request.event_id), request), duplicate=True)
        except (RPCError, RuntimeError, TimeoutError) as failure:
            log.warning("Temporal did not take it", event_id=request.event_id, error=what(failure))
            raise Unavailable("Temporal") from None
        if not taken.duplicate:
            await self._write_down(request)
        return taken

    def preview(self, event: Event, caller: str) -> Preview:
        """What would become of the event now; nothing is sent or kept. Raises Problem 400 as `take` does."""
        self._check_age(event)
        self._check_links(event)
        request = self._request(event, caller)
        refusal = None
        if self._rules.allowed_countries and request.recipient.country not in self._rules.allowed_countries:
            refusal = f"{request.recipient.country} is not in ALLOWED_COUNTRIES"
        return Preview(request, measure(request.body), refusal)

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

    def _check_age(self, event: Event) -> None:
        if event.occurred_at is not None and event.occurred_at < datetime.now(UTC) - self._rules.window:
            raise Problem(
                400,
                "event_too_old",
                f"The event is older than {self._rules.window.days} days (IDEMPOTENCY_WINDOW_DAYS), for which repeats "
                "are recognised. Nothing was sent.",
            )

    def _check_links(self, event: Event) -> None:
        for field, url in event.links().items():
            host = (urlsplit(url).hostname or "").lower()
            if self._rules.link_hosts and not any(_within(host, allowed) for allowed in self._rules.link_hosts):
                detail = {"field": field, "problem": "must lead to one of LINK_HOSTS", "code": "link_host"}
                raise Problem(400, "invalid_request", "The request is not valid. Nothing was sent.", details=[detail])

    def _request(self, event: Event, caller: str) -> NotificationRequest:
        policy, now = event.policy, datetime.now(UTC)
        zones = (event.time_zone,) if event.time_zone else zones_of(event.phone)
        quiet_hours = self._rules.quiet_hours if policy.keeps_quiet else None
        opening = quiet_hours.opening(now, zones) if quiet_hours else now
        if event.delivery_timeout_seconds is not None:
            policy = policy.model_copy(update={"deliver_within": timedelta(seconds=event.delivery_timeout_seconds)})
        content = event.model_dump(mode="json", exclude=NOT_CONTENT) | {"kind": event.kind, "caller": caller}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return NotificationRequest(
            event_id=event.event_id,
            kind=event.kind,
            caller=caller,
            recipient=Recipient(
                phone=event.phone,
                masked=mask(event.phone),
                country=phone.country_of(event.phone),
                hash=self._hashes.of("recipient", event.phone),
            ),
            body=event.text(),
            policy=policy,
            content_hash=self._hashes.of("content", canonical),
            request_id=uuid.uuid4().hex,
            accepted_at=now,
            consent_at=event.consent_at,
            occurred_at=event.occurred_at,
            operator_note=event.operator_note,
            report_to_caller=self._rules.report_to_callers,
            quiet_hours=quiet_hours,
            time_zones=zones,
            not_before=opening if opening > now else None,
        )

    async def _record(self, event_id: str) -> Record | None:
        """The database answers repeats, but an event is not lost when it is away: the other guards stand."""
        try:
            async with asyncio.timeout(DATABASE_PATIENCE):
                return await self.timeline.record(event_id)
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            log.warning("the database did not answer", event_id=event_id, error=what(failure))
            return None

    async def _start(self, request: NotificationRequest) -> Taken:
        async with asyncio.timeout(PATIENCE):
            await self.dispatch.start(request)
        status = DeliveryStatus.HELD if request.not_before else DeliveryStatus.PENDING
        return Taken(Known(request.event_id, request.content_hash, status), duplicate=False)

    async def _write_down(self, request: NotificationRequest) -> None:
        """From now on SQL knows of it too, should Temporal lose it. Without the database the send writes it down."""
        try:
            async with asyncio.timeout(DATABASE_PATIENCE):
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
            known = _same(await self._found(request.event_id), request)
            return Taken(known, duplicate=False)
        known = Known(outcome.event_id, outcome.content_hash, outcome.status, outcome.sid, outcome.error_code)
        return Taken(_same(known, request), duplicate=outcome.request_id != request.request_id)

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


def _same(known: Known, request: NotificationRequest) -> Known:
    if known.content_hash is not None and known.content_hash != request.content_hash:
        raise Problem(
            409,
            "event_id_reused",
            "Another event was posted under this eventId. Nothing was sent; give each event an ID of its own.",
        )
    return known


def _within(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _known(record: Record) -> Known:
    return Known(record.event_id, record.content_hash, record.status, record.sid, record.error_code)


def what(failure: BaseException) -> str:
    if isinstance(failure, RPCError):
        return f"{failure.status.name}: {failure.message}"
    return type(failure).__name__
