"""One notice to operators, about something that no open notification can tell them of."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from notifications.notification import Notice
    from notifications.operator_text import OperatorText
    from workflows import names
    from workflows.retries import WEBHOOK_RETRY

TRY_FOR = timedelta(hours=24)


@workflow.defn(name="OperatorNotice")
class OperatorNotice:
    """Its ID names event, leg and reason, so that the same thing is told once."""

    @workflow.run
    async def run(self, notice: Notice) -> None:
        await workflow.execute_activity(
            names.TELL_OPERATORS,
            notice,
            summary=OperatorText(f"operators: {notice.reason.value}"),
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=TRY_FOR,
            retry_policy=WEBHOOK_RETRY,
        )
