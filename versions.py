"""Which version of the workers takes what: looked at, switched over and drained, where WORKER_BUILD_ID is set."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Console
from rich.table import Table
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import RoutingConfigUpdateState, TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from engine import connect
from notifications.status import DeliveryStatus
from settings import Settings
from workflows import names, search_attributes

QUEUES = (
    (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (names.SEND_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (names.WEBHOOK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)
# A poll without a task lasts a minute, and Temporal lists who has polled for some minutes more.
POLLED_WITHIN = timedelta(seconds=90)
LOOKS = 3  # visibility lags behind by a second or so
MOVED_AT_ONCE = 20


class NotSwitched(Exception):
    """The version cannot be made current; the message says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the workers."""

    build: str
    current: bool
    runs: int
    """Open ones that only this version finishes."""
    held: int
    """Of these, those that wait for their time."""
    workers: int
    """How many polled for workflows lately."""


class Versions:
    """The versions of one deployment. Every method raises RPCError."""

    def __init__(self, client: Client, deployment: str) -> None:
        self._client = client
        self._deployment = deployment

    async def all(self) -> list[Version]:
        """The latest first; empty where no worker ever had a version."""
        if (info := await self._info()) is None:
            return []
        current = info.routing_config.current_deployment_version.build_id
        queue = await described(self._client, *QUEUES[0])
        workers = [one.deployment_options.build_id for one in polling(queue) if versioned(one)]
        return [
            Version(
                build=(build := summary.deployment_version.build_id),
                current=build == current,
                runs=await self.runs(build),
                held=await self.runs(build, held=True),
                workers=workers.count(build),
            )
            for summary in sorted(info.version_summaries, key=lambda one: one.create_time.ToNanoseconds(), reverse=True)
        ]

    async def current(self) -> str | None:
        """The build that takes what is new; None while none does."""
        info = await self._info()
        return info.routing_config.current_deployment_version.build_id or None if info else None

    async def runs(self, build: str, *, held: bool = False) -> int:
        """How many open runs only this version finishes."""
        return (await self._client.count_workflows(self._pinned(build, held=held))).count

    async def make_current(self, build: str | None, patience: timedelta) -> None:
        """From now on what is new goes to this version; None: to workers without one.

        Waits until the version's workers ask for tasks of every queue, and until Temporal has told every queue.
        Raises NotSwitched after `patience`.
        """
        until = time.monotonic() + patience.total_seconds()
        while (missing := await self._unpolled(build)) or (why := await self._switch(build)):
            if time.monotonic() > until:
                raise NotSwitched(f"its workers do not poll {', '.join(missing)}" if missing else why)
            await asyncio.sleep(0.5)
        while await self._spreads():
            if time.monotonic() > until:
                raise NotSwitched("Temporal has taken the order, and has not told all queues of it yet")
            await asyncio.sleep(0.2)

    async def drained(self, build: str, patience: timedelta) -> int:
        """Waits until the version has nothing to finish; how many runs it still has after `patience`."""
        until = time.monotonic() + patience.total_seconds()
        looks = 0
        while True:
            left = await self.runs(build)
            looks = 0 if left else looks + 1
            if looks == LOOKS or (left and time.monotonic() > until):
                return left
            await asyncio.sleep(1)

    async def move(self, build: str, *, held_only: bool) -> int:
        """Hands open runs of a version to whichever is current at their next step; how many."""
        places = asyncio.Semaphore(MOVED_AT_ONCE)

        async def move(execution: WorkflowExecution) -> int:
            async with places:
                with _unless_it_has_ended():
                    await self._client.workflow_service.update_workflow_execution_options(
                        UpdateWorkflowExecutionOptionsRequest(
                            namespace=self._client.namespace,
                            workflow_execution=execution,
                            workflow_execution_options=WorkflowExecutionOptions(
                                versioning_override=VersioningOverride(auto_upgrade=True)
                            ),
                            update_mask=FieldMask(paths=["versioning_override"]),
                            identity="heliograph versions",
                        )
                    )
                    return 1
                return 0

        listed = [
            WorkflowExecution(workflow_id=one.id, run_id=one.run_id)
            async for one in self._client.list_workflows(self._pinned(build, held=held_only))
        ]
        return sum(await asyncio.gather(*(move(execution) for execution in listed)))

    def _pinned(self, build: str, *, held: bool) -> str:
        query = (
            f"ExecutionStatus = 'Running' AND TemporalWorkflowVersioningBehavior = 'Pinned'"
            f" AND TemporalWorkerDeploymentVersion = '{self._deployment}:{build}'"
        )
        return f"{query} AND {search_attributes.STATUS.name} = '{DeliveryStatus.HELD}'" if held else query

    async def _unpolled(self, build: str | None) -> list[str]:
        """Queues that no worker of this version asks for tasks."""
        if build is None:
            return []
        queues = [(name, await described(self._client, name, kind)) for name, kind in QUEUES]
        return [
            name
            for name, queue in queues
            if build not in {one.deployment_options.build_id for one in polling(queue) if versioned(one)}
        ]

    async def _switch(self, build: str | None) -> str | None:
        """Why Temporal would not; None when it did."""
        try:
            await self._client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self._deployment,
                    build_id=build or "",
                    identity="heliograph versions",
                    ignore_missing_task_queues=build is None,
                )
            )
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                raise
            return error.message
        return None

    async def _spreads(self) -> bool:
        info = await self._info()
        under_way = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
        return info is not None and info.routing_config_update_state == under_way

    async def _info(self) -> WorkerDeploymentInfo | None:
        request = DescribeWorkerDeploymentRequest(namespace=self._client.namespace, deployment_name=self._deployment)
        try:
            return (await self._client.workflow_service.describe_worker_deployment(request)).worker_deployment_info
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise


async def described(client: Client, queue: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
    """One queue: who polls it, and which version is current on it. Raises RPCError."""
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
    )


def polling(queue: DescribeTaskQueueResponse) -> list[PollerInfo]:
    """Those that polled it lately."""
    since = datetime.now(UTC) - POLLED_WITHIN
    return [one for one in queue.pollers if one.last_access_time.ToDatetime(UTC) > since]


def versioned(poller: PollerInfo) -> bool:
    """Whether it takes only what is for its version."""
    return poller.deployment_options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED


@contextmanager
def _unless_it_has_ended() -> Iterator[None]:
    """A run that has ended meanwhile needs no version."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


# What `heliograph versions` does; each returns the command's exit code.


async def carry_out(
    settings: Settings, console: Console, order: Callable[..., Awaitable[int]], *arguments: object
) -> int:
    """One of the orders below; 1 where Temporal cannot be asked."""
    try:
        client = await connect(settings, patient=False)
        return await order(Versions(client, settings.worker_deployment_name), console, *arguments)
    except (RuntimeError, RPCError) as failure:
        why = failure.status.name.lower() if isinstance(failure, RPCError) else "it cannot be reached"
        console.print(f"Temporal at {settings.temporal_address} did not answer: {why}", highlight=False, soft_wrap=True)
        return 1


async def tell(versions: Versions, console: Console) -> int:
    """Prints a line per version."""
    found = await versions.all()
    if not found:
        console.print("No worker has a version: WORKER_BUILD_ID is not set.", soft_wrap=True)
        return 0
    table = Table("version", "takes", "open runs", "of these held", "workers", box=None)
    for one in found:
        takes = "what is new" if one.current else "what it has begun" if one.runs else "nothing"
        table.add_row(one.build, takes, str(one.runs), str(one.held), str(one.workers))
    console.print(table)
    return 0


async def switch(versions: Versions, console: Console, build: str | None, wait: int) -> int:
    """Makes a version current; 1 when it cannot be."""
    before = await versions.current()
    try:
        await versions.make_current(build, timedelta(seconds=wait))
    except NotSwitched as why:
        console.print(
            f"{build or 'workers without a version'} cannot be said to be current: {why}",
            highlight=False,
            soft_wrap=True,
        )
        return 1
    said = f"{build} is current" if build else "workers without a version take what is new"
    console.print(
        f"{said}; before it {before}" if before and before != build else said, highlight=False, soft_wrap=True
    )
    return 0


async def drain(versions: Versions, console: Console, build: str, wait: int) -> int:
    """Waits until a version has finished; 1 when it has not, or takes what is new."""
    if await versions.current() == build:
        console.print(f"{build} is current: make another version current first", highlight=False, soft_wrap=True)
        return 1
    if left := await versions.drained(build, timedelta(seconds=wait)):
        held = await versions.runs(build, held=True)
        console.print(f"{build} still has {left} open runs, {held} of them held", highlight=False, soft_wrap=True)
        return 1
    console.print(f"{build} has finished: its workers can be stopped", highlight=False, soft_wrap=True)
    return 0


async def hand_over(versions: Versions, console: Console, build: str, everything: bool) -> int:
    """Lets runs of a version go on with the current one."""
    moved = await versions.move(build, held_only=not everything)
    to = await versions.current() or "workers without a version"
    console.print(f"{moved} runs of {build} go on with {to}", highlight=False, soft_wrap=True)
    return 0
