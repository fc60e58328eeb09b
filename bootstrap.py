"""Readies SQL and Temporal: migrations, namespace retention, search attributes, queue rate. Safe to run again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from engine import retention
from settings import Settings
from store.database import Database
from store.migrate import migrate
from workflows import names, search_attributes
from workflows.reconciliation import Reconciliation
from workflows.retention import EVERY as PURGE_EVERY
from workflows.retention import Retention


class BootstrapError(Exception):
    """Something stands in the way that only an operator can change."""


async def bootstrap(settings: Settings, client: Client, database: Database) -> AsyncIterator[str]:
    """Does what is missing and yields a line for each thing that it changed or found in order.

    Raises BootstrapError when a search attribute stands there with another type.
    """
    before, after = await migrate(database)
    yield f"database: at {after}" if before == after else f"database: migrated from {before or 'empty'} to {after}"
    yield await _namespace(client, timedelta(days=settings.idempotency_window_days))
    yield await _search_attributes(client)
    yield await _send_rate(client, settings.send_rate_per_second)
    every = timedelta(seconds=settings.reconcile_every_seconds)
    await _drop_former_schedules(client)
    yield await _schedule(client, names.RECONCILIATION, Reconciliation.run, every)
    yield await _schedule(client, names.RETENTION, Retention.run, PURGE_EVERY)


async def missing_search_attributes(client: Client) -> dict[str, IndexedValueType.ValueType]:
    """Those of ours that the namespace does not have. Raises RPCError, BootstrapError."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    present = {**answer.system_attributes, **answer.custom_attributes}
    missing = {}
    for key in search_attributes.ALL:
        wanted = IndexedValueType.ValueType(key.indexed_value_type)
        found = present.get(key.name)
        if found is None:
            missing[key.name] = wanted
        elif found != wanted:
            raise BootstrapError(
                f"search attribute {key.name} has type {IndexedValueType.Name(found)}, "
                f"must be {IndexedValueType.Name(wanted)}: remove it with `temporal operator search-attribute remove`"
            )
    return missing


async def _namespace(client: Client, wanted: timedelta) -> str:
    name = client.namespace
    duration = Duration()
    duration.FromTimedelta(wanted)
    try:
        found = await retention(client)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        try:
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=duration)
            )
        except RPCError as lost:  # another bootstrap was first, with the same settings
            if lost.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
        return f"namespace {name}: made, keeps closed workflows for {wanted.days} days"
    if found >= wanted:
        return f"namespace {name}: keeps closed workflows for {found.days} days"
    # Counts for workflows that close from now on; those closed before keep the old time.
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=name, config=NamespaceConfig(workflow_execution_retention_ttl=duration))
    )
    return f"namespace {name}: now keeps closed workflows for {wanted.days} days (was {found})"


async def _search_attributes(client: Client) -> str:
    missing = await _patiently(client)
    if not missing:
        return f"search attributes: all {len(search_attributes.ALL)} are there"
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    )
    for _ in range(60):  # a cluster refreshes its cache within a minute
        if not await missing_search_attributes(client):
            return f"search attributes: added {', '.join(sorted(missing))}"
        await asyncio.sleep(1)
    raise BootstrapError(f"search attributes {', '.join(sorted(missing))} were added but do not show up")


async def _patiently(client: Client) -> dict[str, IndexedValueType.ValueType]:
    for _ in range(30):  # a namespace that was just made is not known everywhere at once
        try:
            return await missing_search_attributes(client)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(1)
    raise BootstrapError(f"namespace {client.namespace} was made but does not show up")


async def _send_rate(client: Client, per_second: float | None) -> str:
    if per_second is None:
        return "send rate: not limited by SEND_RATE_PER_SECOND"
    request = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity="heliograph bootstrap",
        task_queue=names.SEND_QUEUE,
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    request.update_queue_rate_limit.rate_limit.requests_per_second = per_second
    request.update_queue_rate_limit.reason = "SEND_RATE_PER_SECOND"
    await client.workflow_service.update_task_queue_config(request)
    return f"send rate: {per_second:g} per second on the queue {names.SEND_QUEUE}"


async def _drop_former_schedules(client: Client) -> None:
    """Those of versions before 0.1 had no slash in their names, and an event could take their place."""
    for name in ("heliograph-reconciliation", "heliograph-retention"):
        try:
            await client.get_schedule_handle(name).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


async def _schedule(client: Client, name: str, run: Any, every: timedelta) -> str:
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(run, id=name, task_queue=names.TASK_QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # A sweep that takes long is not overtaken, and those missed while Temporal was away are not made up for.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )
    what = name.removeprefix("heliograph/")
    try:
        await client.create_schedule(name, schedule)
        return f"{what}: every {every.total_seconds():g} s"
    except ScheduleAlreadyRunningError:
        pass
    handle = client.get_schedule_handle(name)
    found = (await handle.describe()).schedule
    if [interval.every for interval in found.spec.intervals] == [every]:
        return f"{what}: every {every.total_seconds():g} s"
    schedule.state = found.state  # paused by an operator, it stays paused
    await handle.update(lambda _: ScheduleUpdate(schedule))
    return f"{what}: now every {every.total_seconds():g} s"
