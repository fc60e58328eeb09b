"""Under which payload keys the oldest notifications are that Temporal still has."""

from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

LOOKED_BACK = timedelta(days=800)  # longer than any is held, and than the longest retention after it
HALVINGS = 14  # to within 70 minutes of the oldest
LOOKED_AT = 20


async def oldest_keys(client: Client) -> set[str]:
    """The ids of keys that the oldest open and the oldest closed notifications were encrypted with. Raises RPCError.

    Keys are replaced for all at once, so what is not among the oldest is not among the others.
    """
    found = set()
    for of in ("ExecutionStatus = 'Running' AND StartTime", "CloseTime"):
        query = f"WorkflowType = 'Notification' AND {of} <= '{{}}'"
        end = await _just_after_the_oldest(client, query)
        async for one in client.list_workflows(query.format(end.isoformat()), limit=LOOKED_AT):
            found |= await _keys_of(client, one.id, one.run_id)
    return found


async def _just_after_the_oldest(client: Client, query: str) -> datetime:
    latest = datetime.now(UTC)
    earliest = latest - LOOKED_BACK
    for _ in range(HALVINGS):
        middle = earliest + (latest - earliest) / 2
        if (await client.count_workflows(query.format(middle.isoformat()))).count:
            latest = middle
        else:
            earliest = middle
    return latest


async def _keys_of(client: Client, workflow_id: str, run_id: str) -> set[str]:
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=1,
        )
    )
    payloads = answer.history.events[0].workflow_execution_started_event_attributes.input.payloads
    return {
        payload.metadata["encryption-key-id"].decode(errors="replace")
        for payload in payloads
        if "encryption-key-id" in payload.metadata
    }
