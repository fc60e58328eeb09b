"""The sweep that a Temporal Schedule starts: nothing that was accepted is forgotten."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from notifications.notification import Swept
    from notifications.operator_text import OperatorText
    from workflows import names

# A sweep has a budget of its own and ends long before; a worker that dies in it is noticed by its heartbeat.
SWEEP_TAKES_AT_MOST = timedelta(minutes=5)
SWEEP_HEARTBEAT = timedelta(seconds=60)


@workflow.defn(name="Reconciliation")
class Reconciliation:
    """Compares what SQL, Temporal and Twilio know, and mends what does not fit together."""

    @workflow.run
    async def run(self) -> Swept:
        swept: Swept = await workflow.execute_activity(
            names.RECONCILE,
            result_type=Swept,
            summary=OperatorText("what has had no news"),
            start_to_close_timeout=SWEEP_TAKES_AT_MOST,
            heartbeat_timeout=SWEEP_HEARTBEAT,
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
        return swept
