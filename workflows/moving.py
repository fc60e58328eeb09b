"""The workflows that go on with the current version of the workers, where workers have versions.

Each does one thing, which any version can finish. Left to the version that began them, they would keep it for days
(a webhook that nobody takes), or stand in the way of all that follow (a sweep that no worker finishes any more).
A worker without a version may not say how its workflows move, so it runs the plain ones.
"""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from notifications.notification import Notice, Purged, Swept
    from workflows.caller_webhook import CallerWebhook
    from workflows.operator_notice import OperatorNotice
    from workflows.reconciliation import Reconciliation
    from workflows.retention import Retention


@workflow.defn(name="CallerWebhook", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MovingCallerWebhook(CallerWebhook):
    """See CallerWebhook."""

    @workflow.run
    async def run(self, webhook_id: str, caller: str) -> None:
        await super().run(webhook_id, caller)


@workflow.defn(name="OperatorNotice", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MovingOperatorNotice(OperatorNotice):
    """See OperatorNotice."""

    @workflow.run
    async def run(self, notice: Notice) -> None:
        await super().run(notice)


@workflow.defn(name="Reconciliation", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MovingReconciliation(Reconciliation):
    """See Reconciliation."""

    @workflow.run
    async def run(self) -> Swept:
        return await super().run()


@workflow.defn(name="Retention", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class MovingRetention(Retention):
    """See Retention."""

    @workflow.run
    async def run(self) -> Purged:
        return await super().run()
