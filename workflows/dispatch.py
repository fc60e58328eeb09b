"""How workflows are started and told things: the same words for the API and for activities."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from notifications.notification import CarrierReport, EscalationReason, Notice, NotificationRequest, Outcome
from notifications.operator_text import OperatorText
from workflows import names, search_attributes
from workflows.caller_webhook import CallerWebhook
from workflows.notification import Notification
from workflows.operator_notice import OperatorNotice


@dataclass(frozen=True, slots=True)
class Run:
    """The latest run of an event's workflow."""

    status: WorkflowExecutionStatus
    started_at: datetime
    content_hash: str | None
    attributes: TypedSearchAttributes

    @property
    def open(self) -> bool:
        return self.status is WorkflowExecutionStatus.RUNNING


# What an update may raise: it was refused, its workflow is gone, or Temporal cannot be reached.
UPDATE_FAILURES = (
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    RPCError,
    RuntimeError,
    TimeoutError,
)


class Dispatch:
    """Every method raises RPCError, and RuntimeError where a lazy client cannot connect, unless it says otherwise."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def start(self, request: NotificationRequest) -> None:
        """Starts the event's workflow. Raises WorkflowAlreadyStartedError for an ID that is or was in use."""
        await self.client.start_workflow(
            Notification.run, request, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE, **_options(request)
        )

    def with_start(self, request: NotificationRequest) -> WithStartWorkflowOperation[Notification, Outcome]:
        """The same start, to go with the `accepted` update; attaches to a run that is open."""
        return WithStartWorkflowOperation(
            Notification.run,
            request,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            **_options(request),
        )

    async def resend(self, request: NotificationRequest) -> None:
        """Begins with the request's leg: in the open run, which starts over, or in a new run of the same ID."""
        await self.client.start_workflow(
            Notification.run,
            request,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=names.RESEND,
            start_signal_args=[request],
            **_options(request),
        )

    async def restart(self, request: NotificationRequest) -> bool:
        """Runs an event's workflow again whose run is gone; False when one is open after all.

        The ledger keeps it from posting what was posted.
        """
        try:
            await self.client.start_workflow(
                Notification.run, request, id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE, **_options(request)
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def final_status(self, event_id: str, report: CarrierReport) -> bool:
        """Hands a final status to its workflow; False when none is open (any more)."""
        return await self._signal(event_id, names.FINAL_STATUS, report)

    async def cancel(self, event_id: str) -> Outcome:
        """Drops what is held of an event. Raises WorkflowUpdateFailedError when it is too late."""
        # A fixed update ID: canceling twice is canceling once.
        outcome: Outcome = await self._update(event_id, names.CANCEL, id=names.CANCEL, result_type=Outcome)
        return outcome

    async def reschedule(self, request: NotificationRequest) -> None:
        """Gives what is held of an event other times. Raises WorkflowUpdateFailedError when it is too late."""
        update_id = f"{names.RESCHEDULE}-{request.request_id}"
        await self._update(request.event_id, names.RESCHEDULE, request, id=update_id)

    async def acknowledge(self, event_id: str, by: str) -> bool:
        """Stops the ladder of an alert; False when its workflow has ended."""
        try:
            await self._update(event_id, names.ACKNOWLEDGE, by, id=names.ACKNOWLEDGE, result_type=Outcome)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def second_message(self, event_id: str) -> bool:
        """Flags the workflow; False when none is open."""
        return await self._signal(event_id, names.SECOND_MESSAGE)

    async def notify_operators(self, notice: Notice, *, about: str | None = None) -> bool:
        """Has operators told; False when they were told this already, or are being told.

        `about` names what they are told of where that is more than the notice's own event.
        """
        request = notice.request
        attributes = [
            *search_attributes.at_start(request).search_attributes,
            SearchAttributePair(search_attributes.STATUS, notice.status.value),
            SearchAttributePair(search_attributes.ESCALATED, True),
        ]
        if notice.reason is EscalationReason.DUPLICATE:
            attributes.append(SearchAttributePair(search_attributes.DUPLICATE_SEND, True))
        try:
            await self.client.start_workflow(
                OperatorNotice.run,
                notice,
                # No event ID holds a slash, so this one is never an event's.
                id=f"notice/{about or f'{request.event_id}/{notice.leg}/{notice.reason}'}",
                task_queue=names.TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=TypedSearchAttributes(_last_of_each(attributes)),
                static_summary=OperatorText(f"{notice.reason.value}: {request.event_id}"),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def send_webhook(self, webhook_id: str, caller: str, *, ordered: bool = False) -> bool:
        """Has a webhook to a caller sent; False when it is being sent. If that was `ordered`, it waits no longer."""
        try:
            await self.client.start_workflow(
                CallerWebhook.run,
                args=[webhook_id, caller],
                id=f"webhook/{webhook_id}",  # no event ID holds a slash
                task_queue=names.TASK_QUEUE,
                start_signal=names.SEND_AGAIN if ordered else None,
                static_summary=OperatorText(f"webhook to {caller}"),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def forget(self, event_id: str) -> bool:
        """Deletes an event's runs, histories included; does nothing and is False when one is open."""
        try:
            latest = await self.client.get_workflow_handle(event_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise
        if latest.close_time is None:
            return False
        listed = [run async for run in self.client.list_workflows(f"WorkflowId = '{event_id}'")]
        for run in listed:
            # One may have begun since; or the list lags, and the run has closed.
            if run.close_time is None and await self._is_open(event_id, run.run_id):
                return False
        for run_id in {latest.run_id, *(run.run_id for run in listed)}:  # the list may not have the latest yet
            request = DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=event_id, run_id=run_id),
            )
            try:
                await self.client.workflow_service.delete_workflow_execution(request)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return True

    async def _is_open(self, event_id: str, run_id: str) -> bool:
        try:
            return (await self.client.get_workflow_handle(event_id, run_id=run_id).describe()).close_time is None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise

    async def purge_soon(self) -> None:
        """Has the purge run now rather than within the hour."""
        await self.client.get_schedule_handle(names.RETENTION).trigger()

    async def run(self, event_id: str) -> Run | None:
        """The latest run; None where Temporal has none (any more)."""
        try:
            description = await self.client.get_workflow_handle(event_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return await _run(description)

    async def outcome(self, event_id: str) -> Outcome:
        """How a completed run has ended. Raises WorkflowFailureError for one that did not end by itself."""
        handle = self.client.get_workflow_handle(event_id, result_type=Outcome)
        outcome: Outcome = await handle.result()
        return outcome

    async def _update(self, event_id: str, name: str, *arguments: Any, **options: Any) -> Any:
        """Tries again when the run was just starting over: its next one takes the update."""
        for pause in (0.05, 0.2, 0.5, None):
            try:
                return await self.client.get_workflow_handle(event_id).execute_update(name, args=arguments, **options)
            except RPCError as error:
                over = error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED)
                if pause is None or over or (run := await self.run(event_id)) is None or not run.open:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    async def _signal(self, event_id: str, name: str, *arguments: Any) -> bool:
        try:
            await self.client.get_workflow_handle(event_id).signal(name, args=arguments)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True


def _options(request: NotificationRequest) -> dict[str, Any]:
    recipient = request.recipient
    return {
        "id": request.event_id,
        "task_queue": names.TASK_QUEUE,
        "search_attributes": search_attributes.at_start(request),
        "memo": {"contentHash": request.content_hash},
        "static_summary": OperatorText(f"{request.kind} to {recipient.masked} ({recipient.country})"),
        "priority": Priority(priority_key=int(request.policy.priority), fairness_key=request.caller),
    }


async def _run(description: WorkflowExecutionDescription) -> Run:
    assert description.status is not None
    return Run(
        status=description.status,
        started_at=description.start_time,
        content_hash=(await description.memo()).get("contentHash"),
        attributes=description.typed_search_attributes,
    )


def _last_of_each(pairs: list[SearchAttributePair[Any]]) -> list[SearchAttributePair[Any]]:
    return list({pair.key.name: pair for pair in pairs}.values())
