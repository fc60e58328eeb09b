"""What is looked up when Prometheus asks: by the API, which lives while all workers may be dead."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from store.backlog import Backlog
from telemetry import metrics
from workflows import names

FRESH_FOR = 5.0  # seconds; several that ask at once are answered by one look
PATIENCE = 2.5  # seconds
POLLED_WITHIN = timedelta(seconds=150)  # a poll without a task lasts a minute

_QUEUES = (
    (names.TASK_QUEUE, "workflow", TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (names.TASK_QUEUE, "activity", TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (names.SEND_QUEUE, "activity", TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (names.WEBHOOK_QUEUE, "activity", TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)
_SCHEDULES = (names.RECONCILIATION, names.RETENTION)
_OF_DATABASE = (metrics.OPEN, metrics.OLDEST_DUE)
_OF_TEMPORAL = (
    metrics.BACKLOG,
    metrics.BACKLOG_AGE,
    metrics.POLLERS,
    metrics.SCHEDULE_RAN_AT,
    metrics.SCHEDULE_EVERY,
    metrics.SCHEDULE_PAUSED,
)


class Samples:
    """Sets the gauges. A part that cannot be asked has none: an old value would look like a good one."""

    def __init__(self, backlog: Backlog, client: Client) -> None:
        self._backlog = backlog
        self._client = client
        self._lock = asyncio.Lock()
        self._taken_at = -FRESH_FOR

    async def refresh(self) -> None:
        async with self._lock:
            if monotonic() - self._taken_at < FRESH_FOR:
                return
            await asyncio.gather(
                self._safely("database", self._database(), _OF_DATABASE),
                self._safely("temporal", self._temporal(), _OF_TEMPORAL),
            )
            self._taken_at = monotonic()

    async def _safely(self, part: str, look: Coroutine[Any, Any, None], gauges: tuple[Any, ...]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await look
        except (SQLAlchemyError, OSError, RPCError, RuntimeError, TimeoutError):
            for gauge in gauges:
                gauge.clear()
            metrics.PART_UP.labels(part=part).set(0)
        else:
            metrics.PART_UP.labels(part=part).set(1)

    async def _database(self) -> None:
        now = datetime.now(UTC)
        for status, waiting in (await self._backlog.waiting(now)).items():
            age = (now - waiting.due_since).total_seconds() if waiting.due_since is not None else 0.0
            metrics.OPEN.labels(status=status.value).set(waiting.count)
            metrics.OLDEST_DUE.labels(status=status.value).set(max(0.0, age))

    async def _temporal(self) -> None:
        looks = [self._queue(*queue) for queue in _QUEUES] + [self._schedule(name) for name in _SCHEDULES]
        await asyncio.gather(*looks)

    async def _queue(self, queue: str, sort: str, kind: TaskQueueType.ValueType) -> None:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kind,
            report_stats=True,
        )
        answer = await self._client.workflow_service.describe_task_queue(request)
        since = datetime.now(UTC) - POLLED_WITHIN
        pollers = {one.identity for one in answer.pollers if one.last_access_time.ToDatetime(UTC) > since}
        labels = {"queue": queue, "type": sort}
        metrics.POLLERS.labels(**labels).set(len(pollers))
        metrics.BACKLOG.labels(**labels).set(answer.stats.approximate_backlog_count)
        metrics.BACKLOG_AGE.labels(**labels).set(
            answer.stats.approximate_backlog_age.ToTimedelta().total_seconds()
            if answer.stats.approximate_backlog_count
            else 0.0
        )

    async def _schedule(self, name: str) -> None:
        labels = {"schedule": name.removeprefix("heliograph/")}
        try:
            description = await self._client.get_schedule_handle(name).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            metrics.SCHEDULE_RAN_AT.labels(**labels).set(0)  # and so for too long
            return
        schedule, actions = description.schedule, description.info.recent_actions
        # One that has never run has been due since it was made.
        ran_at = actions[-1].started_at if actions else description.info.created_at
        metrics.SCHEDULE_RAN_AT.labels(**labels).set(ran_at.timestamp())
        metrics.SCHEDULE_PAUSED.labels(**labels).set(schedule.state.paused)
        if schedule.spec.intervals:
            metrics.SCHEDULE_EVERY.labels(**labels).set(schedule.spec.intervals[0].every.total_seconds())
