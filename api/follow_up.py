"""What happens to a notification after it was taken in: final statuses, second messages, an operator's orders."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from api.database import PATIENCE as DATABASE_PATIENCE
from api.database import answered
from api.desk import PATIENCE, what
from api.drafting import Drafting
from api.problems import Problem, Unavailable, invalid_request
from notifications.confidential import Confidential
from notifications.kinds import KINDS
from notifications.notification import CarrierReport, EscalationReason, Notice, NotificationRequest
from notifications.status import DeliveryStatus
from store.cases import Case, Cases, NotKept
from store.resends import Refusal, Resends
from store.steps import StepRecords
from store.timeline import Entry, Timeline
from store.vault import Erased, Vault
from workflows.dispatch import UPDATE_FAILURES, Dispatch

log = structlog.stdlib.get_logger("heliograph.api")


class FollowUp:
    """Every method raises Unavailable when Temporal or the database cannot be reached."""

    def __init__(
        self,
        dispatch: Dispatch,
        timeline: Timeline,
        cases: Cases,
        resends: Resends,
        records: StepRecords,
        drafting: Drafting,
        vault: Vault,
    ) -> None:
        self._records = records
        self._vault = vault
        self._drafting = drafting
        self._dispatch = dispatch
        self._timeline = timeline
        self._cases = cases
        self._resends = resends

    async def final_status(self, event_id: str, report: CarrierReport) -> None:
        """Hands it to the workflow; one that has closed knows it already, or is told by the reconciliation."""
        await self._temporal(event_id, self._dispatch.final_status(event_id, report))

    async def second_message(self, event_id: str, leg: int, sid: str) -> None:
        """Two messages report for one leg: flags the workflow and has operators told, once."""
        case = await self._case(event_id)
        if case is None:
            return
        await self._temporal(event_id, self._dispatch.second_message(event_id))
        notice = Notice(
            request=case.request,
            reason=EscalationReason.DUPLICATE,
            status=case.status,
            sid=sid,
            error_code=None,
            deadline=case.request.policy.deliver_within,
            leg=leg,
        )
        await self._temporal(event_id, self._dispatch.notify_operators(notice))

    async def resend(self, event_id: str, *, caller: str, reason: str, force: bool) -> int:
        """Sends another leg under the same event; its number. Raises Problem 404 and 409."""
        ordered = await answered(self._resends.order(event_id, caller=caller, reason=reason, force=force))
        if isinstance(ordered, Refusal):
            raise Problem(404 if ordered.code == "not_found" else 409, ordered.code, ordered.says)
        case = await self._case(event_id)
        assert case is not None
        # From now on it counts as accepted: deadline and staleness begin anew.
        request = case.request.model_copy(update={"leg": ordered, "accepted_at": datetime.now(UTC)})
        # Should Temporal be away, the leg stands in the ledger: the same call, or the reconciliation, gets it sent.
        await self._temporal(event_id, self._dispatch.resend(request))
        log.warning("resent", event_id=event_id, leg=ordered, caller=caller, forced=force)
        return ordered

    async def reschedule(self, event_id: str, changes: dict[str, Any], *, caller: str) -> NotificationRequest:
        """Gives what is held of an event other times. Raises Problem 400, 404, and 409 when it is too late."""
        case = await self._case(event_id)
        if case is None:
            raise Problem(404, "not_found", "No event of this ID is known.")
        kind = KINDS.get(case.request.kind)
        if kind is None or case.request.content is None:
            raise Problem(409, "not_reschedulable", f"An event of kind {case.request.kind} has no times of its own.")
        content = await self._content(case.request.content)
        try:
            event = kind.model_validate(content | changes, by_name=True, by_alias=True)
        except ValidationError as invalid:
            raise invalid_request(invalid) from None
        anew = self._drafting.request(event, case.request.caller)
        # A repeat of the first post stays one: what it is compared with does not change.
        anew = await self._vault.seal(anew.model_copy(update={"content_hash": case.request.content_hash}))
        try:
            async with asyncio.timeout(PATIENCE):
                await self._dispatch.reschedule(anew)
        except UPDATE_FAILURES as failure:
            raise _too_late(failure) from None
        held = {"leg": case.leg_number, "first_leg": case.leg_number, "planned": True}  # as the workflow has it
        await self._keep(anew.model_copy(update=held))
        await self._note(event_id, Entry("rescheduled", detail=f"by {caller}"))
        return anew

    async def cancel(self, event_id: str, *, caller: str) -> DeliveryStatus:
        """Drops what is still held. Raises Problem 404, and 409 when it is too late."""
        case = await self._case(event_id)
        if case is None:
            raise Problem(404, "not_found", "No event of this ID is known.")
        try:
            async with asyncio.timeout(PATIENCE):
                outcome = await self._dispatch.cancel(event_id)
        except UPDATE_FAILURES as failure:
            raise _too_late(failure) from None
        await self._note(event_id, Entry("canceled", detail=f"by {caller}"), status=outcome.status)
        return outcome.status

    async def _content(self, sealed: Confidential) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(await answered(self._vault.open(sealed)))
        except Erased:
            raise Problem(409, "too_late", "The recipient was forgotten.") from None
        del content["kind"]
        return content

    async def _keep(self, anew: NotificationRequest) -> None:
        """The workflow writes it down as well, a moment later: till then another change must not begin with the old
        times."""
        try:
            async with asyncio.timeout(DATABASE_PATIENCE):
                await self._records.reword(anew)
        except (SQLAlchemyError, OSError, TimeoutError):
            log.warning("the database did not take the new times (yet)", event_id=anew.event_id)

    async def _note(self, event_id: str, entry: Entry, status: DeliveryStatus | None = None) -> None:
        try:
            async with asyncio.timeout(DATABASE_PATIENCE):
                await self._timeline.note(event_id, entry, status=status)
        except (SQLAlchemyError, OSError, TimeoutError):
            log.warning("the database did not take it", event_id=event_id, what=entry.what)  # the reconciliation will

    async def _case(self, event_id: str) -> Case | None:
        try:
            return await answered(self._cases.of(event_id))
        except NotKept:
            raise Problem(409, "not_kept", "Its text is not kept any more, or its recipient was forgotten.") from None

    async def _temporal(self, event_id: str, call: Coroutine[Any, Any, Any]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await call
        except (RPCError, RuntimeError, TimeoutError) as failure:
            log.warning("Temporal did not take it", event_id=event_id, error=what(failure))
            raise Unavailable("Temporal") from None


def _too_late(failure: BaseException) -> Problem:
    if isinstance(failure, WorkflowUpdateFailedError):
        return Problem(409, "too_late", "It is being sent, or has ended; ask for its status.")
    if isinstance(failure, RPCError) and failure.status is RPCStatusCode.NOT_FOUND:
        return Problem(409, "too_late", "It has ended; ask for its status.")
    return Unavailable("Temporal")  # whether it was done, the next call tells
