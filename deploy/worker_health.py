"""Exits 0 while the worker of this very container takes tasks from both of its queues.

`heliograph doctor` asks whether any worker does, and asks Twilio too, whose outage is no illness of a worker.
"""

import asyncio
import os
import socket
import sys
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from engine import connect
from settings import SettingsError, load_settings
from workflows import names

# A poll without a task lasts a minute, and a worker whose hundred sends all wait for Twilio may skip one.
POLLED_WITHIN = timedelta(seconds=150)


async def main() -> int:
    try:
        client = await connect(load_settings(), patient=False)
        silent = [
            queue
            for queue, kind in (
                (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
                (names.SEND_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
            )
            if not await _polls(client, queue, kind)
        ]
    except (SettingsError, RuntimeError, RPCError) as failure:
        sys.stderr.write(f"cannot ask Temporal: {type(failure).__name__}\n")
        return 1
    if silent:
        sys.stderr.write(f"does not poll {', '.join(silent)}\n")
    return int(bool(silent))


async def _polls(client: Client, queue: str, kind: TaskQueueType.ValueType) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    )
    here = f"@{socket.gethostname()}"  # the SDK names a worker pid@host, and a container has a host name of its own
    since = datetime.now(UTC) - POLLED_WITHIN
    return any(
        poller.identity.endswith(here) and poller.last_access_time.ToDatetime(UTC) > since for poller in answer.pollers
    )


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stderr.flush()
    os._exit(code)  # as in cli.py: Temporal's runtime may crash in the interpreter's shutdown
