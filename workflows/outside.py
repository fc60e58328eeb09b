"""Each touch of the outside world, as the workflow asks for it."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from notifications.notification import (
        Admission,
        Digest,
        Inquiry,
        Leg,
        Notice,
        NotificationRequest,
        Outcome,
        Receipt,
        Recipient,
    )
    from notifications.operator_text import OperatorText
    from notifications.plan import Channel
    from notifications.policy import Rung
    from workflows import names
    from workflows.retries import ASK_RETRY, DATABASE_RETRY, SEND_RETRY, WEBHOOK_RETRY

# The HTTP read time-out is at most 40 s (settings); a send may take that long and must not be called dead before.
SEND_TAKES_AT_MOST = timedelta(seconds=60)
SEND_HEARTBEAT = timedelta(seconds=15)
# Longer than the longest pause between attempts, so that the last attempt finds for itself that it is too late.
STALE_MARGIN = timedelta(minutes=5)
BRIEF = timedelta(seconds=30)


def deliver(leg: Leg) -> ActivityHandle[Receipt]:
    """Starts the send; awaiting it raises ActivityError with a cause of one of the types in `names`."""
    request = leg.request
    worth = max(leg.stale_at - workflow.now(), timedelta(0))
    verb = "call" if request.channel is Channel.VOICE else "text"
    return workflow.start_activity(
        names.DELIVER,
        leg,
        result_type=Receipt,
        task_queue=names.SEND_QUEUE,
        summary=OperatorText(f"{verb} {request.recipient.masked}"),
        start_to_close_timeout=SEND_TAKES_AT_MOST,
        heartbeat_timeout=SEND_HEARTBEAT,
        schedule_to_close_timeout=worth + STALE_MARGIN,
        retry_policy=SEND_RETRY,
        priority=Priority(priority_key=int(request.policy.priority), fairness_key=request.caller),
    )


async def ask_carrier(leg: Leg) -> Inquiry | None:
    """What became of it; None when Twilio could not be asked."""
    try:
        inquiry: Inquiry = await workflow.execute_activity(
            names.ASK_CARRIER,
            leg,
            result_type=Inquiry,
            summary=OperatorText("what became of it?"),
            start_to_close_timeout=SEND_TAKES_AT_MOST,
            retry_policy=ASK_RETRY,
            priority=Priority(priority_key=int(leg.request.policy.priority)),
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        return None
    return inquiry


async def tell_operators(notice: Notice, rung: Rung) -> None:
    """Returns also when they could not be told; the log says so."""
    try:
        await workflow.execute_activity(
            names.TELL_OPERATORS,
            notice,
            summary=OperatorText(f"operators: {notice.reason.value}"),
            start_to_close_timeout=BRIEF,
            schedule_to_close_timeout=rung.try_for,
            retry_policy=WEBHOOK_RETRY,
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        workflow.logger.error("operators could not be told", extra={"reason": notice.reason.value})
        _count_never_told()


def _count_never_told() -> None:
    """Counted by the SDK, which counts nothing in a replay; it adds `_total`."""
    counter = workflow.metric_meter().create_counter("heliograph_operators_never_told", "Notices that were never taken")
    counter.add(1)


async def report_to_caller(outcome: Outcome) -> None:
    """Has the caller told, by a workflow of its own."""
    await workflow.execute_activity(
        names.REPORT_TO_CALLER,
        outcome,
        summary=OperatorText("the caller is told"),
        start_to_close_timeout=BRIEF,
        retry_policy=DATABASE_RETRY,
    )


async def turn_to(request: NotificationRequest) -> None:
    """SQL turns to this step of the plan."""
    await _database(names.TURN_TO, request, "next step")


async def admit(request: NotificationRequest) -> Admission:
    """Whether an alert is sent, or folded into a digest."""
    admitted: Admission = await _database(names.ADMIT, request, "first of its incident?", Admission)
    return admitted


async def close_digest(request: NotificationRequest) -> Digest:
    """What the digest says, fixed from now on."""
    digest: Digest = await _database(names.CLOSE_DIGEST, request, "what came meanwhile", Digest)
    return digest


async def resolve(request: NotificationRequest) -> list[Recipient]:
    """Ends the incident's alerts; those who had been alerted."""
    told: list[Recipient] = await _database(names.RESOLVE, request, "end the alerts", list[Recipient])
    return told


async def expire(request: NotificationRequest) -> None:
    """SQL knows that the step will not be sent: its time comes too late."""
    await _database(names.EXPIRE, request, "too late for it")


async def drop_stale(request: NotificationRequest) -> None:
    """Cancels what is held about the same subject and is stale by now."""
    await _database(names.DROP_STALE, request, "drop what is stale by now")


async def _database(name: str, request: NotificationRequest, summary: str, result_type: Any = None) -> Any:
    return await workflow.execute_activity(
        name,
        request,
        result_type=result_type,
        summary=OperatorText(summary),
        start_to_close_timeout=BRIEF,
        retry_policy=DATABASE_RETRY,
        priority=Priority(priority_key=int(request.policy.priority)),
    )
