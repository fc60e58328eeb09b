"""One webhook to a caller, tried for days."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from notifications.operator_text import OperatorText
    from workflows import names
    from workflows.retries import DATABASE_RETRY

TRY_FOR = timedelta(days=3)
# 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, then every 4 hours.
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    backoff_coefficient=4.0,
    maximum_interval=timedelta(hours=4),
    non_retryable_error_types=[names.ENDPOINT_GONE],
)


@workflow.defn(name="CallerWebhook")
class CallerWebhook:
    """Its ID names the webhook, so that one at a time is tried of each."""

    def __init__(self) -> None:
        self._again = False

    @workflow.run
    async def run(self, webhook_id: str, caller: str) -> None:
        while True:
            self._again = False
            await self._try(webhook_id, caller)
            if not self._again:  # an order that comes while this run closes would find it open, and be lost
                return

    @workflow.signal(name=names.SEND_AGAIN, description="An operator has ordered it to be sent now")
    def send_again(self) -> None:
        self._again = True

    async def _try(self, webhook_id: str, caller: str) -> None:
        posted = workflow.start_activity(
            names.POST_WEBHOOK,
            webhook_id,
            task_queue=names.WEBHOOK_QUEUE,
            summary=OperatorText(f"webhook to {caller}"),
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=TRY_FOR,
            retry_policy=RETRY,
            priority=Priority(fairness_key=caller),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: posted.done() or self._again)
        if not posted.done():
            posted.cancel()  # its pause, of up to four hours; a post that is under way ends first
        try:
            await posted
        except ActivityError as failure:
            if self._again:
                return
            if is_cancelled_exception(failure):
                raise
            gone = isinstance(failure.cause, ApplicationError) and failure.cause.type == names.ENDPOINT_GONE
            await workflow.execute_activity(
                names.GIVE_UP_WEBHOOK,
                args=[webhook_id, gone],
                summary=OperatorText("nobody took it"),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=DATABASE_RETRY,
            )
