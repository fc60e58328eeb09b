"""The purge that a Temporal Schedule starts: nothing personal is kept for longer than it is needed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from notifications.notification import Purged
    from notifications.operator_text import OperatorText
    from workflows import names

EVERY = timedelta(hours=1)
PURGE_TAKES_AT_MOST = timedelta(minutes=10)
PURGE_HEARTBEAT = timedelta(minutes=2)


@workflow.defn(name="Retention")
class Retention:
    """Drops bodies, numbers and stories when their time is over, and finishes what it is to forget a recipient."""

    @workflow.run
    async def run(self) -> Purged:
        purged: Purged = await workflow.execute_activity(
            names.PURGE,
            result_type=Purged,
            summary=OperatorText("what is kept too long"),
            start_to_close_timeout=PURGE_TAKES_AT_MOST,
            heartbeat_timeout=PURGE_HEARTBEAT,
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
        return purged
