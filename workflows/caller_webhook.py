"""One webhook to a caller, tried for days."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

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

    @workflow.run
    async def run(self, webhook_id: str, caller: str) -> None:
        try:
            await workflow.execute_activity(
                names.POST_WEBHOOK,
                webhook_id,
                task_queue=names.WEBHOOK_QUEUE,
                summary=OperatorText(f"webhook to {caller}"),
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=TRY_FOR,
                retry_policy=RETRY,
                priority=Priority(fairness_key=caller),
            )
        except ActivityError as failure:
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
