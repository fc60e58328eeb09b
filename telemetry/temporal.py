"""What Temporal's SDK tells of itself: metrics on an endpoint of its own, and spans."""

import socket
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio import client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from telemetry.tracing import event_span, in_trace_of, tracer

TRIES = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SdkMetrics:
    """A runtime whose metrics can be read at `url`, on loopback; the process's own endpoint hands them on."""

    runtime: Runtime
    url: str

    @classmethod
    def start(cls) -> "SdkMetrics":
        """Once in a process: the counting is done by the SDK's core, on threads of its own. Raises ValueError."""
        for _ in range(TRIES - 1):
            try:
                return cls._on(_free_port())
            except ValueError:
                continue  # somebody else has taken the port meanwhile
        return cls._on(_free_port())

    @classmethod
    def _on(cls, port: int) -> "SdkMetrics":
        address = f"127.0.0.1:{port}"
        config = PrometheusConfig(
            bind_address=address, durations_as_seconds=True, unit_suffix=True, counters_total_suffix=True
        )
        telemetry = TelemetryConfig(metrics=config, attach_service_name=False)
        return cls(Runtime(telemetry=telemetry), f"http://{address}/metrics")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def interceptors() -> Sequence[client.Interceptor]:
    """Spans for what is asked of Temporal, and for what workers run."""
    return EventTraces(), TracingInterceptor(tracer())


class EventTraces(client.Interceptor):
    """What is asked of an event's workflow is of the event's trace, whoever asks: the reconciliation too."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002
        return _EventTraces(next)


class _EventTraces(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:  # noqa: A002
        return await _within(input.id, super().start_workflow(input))

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:  # noqa: A002
        await _within(input.id, super().signal_workflow(input))

    async def start_workflow_update(
        self,
        input: client.StartWorkflowUpdateInput,  # noqa: A002
    ) -> client.WorkflowUpdateHandle[Any]:
        return await _within(input.id, super().start_workflow_update(input))

    async def start_update_with_start_workflow(
        self,
        input: client.StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> client.WorkflowUpdateHandle[Any]:
        started = input.start_workflow_input
        return await _within(started.id, super().start_update_with_start_workflow(input))


async def _within(workflow_id: str, call: Awaitable[T]) -> T:
    with _span(workflow_id):
        return await call


def _span(workflow_id: str) -> AbstractContextManager[None]:
    if "/" in workflow_id or in_trace_of(workflow_id):  # no event's ID holds a slash
        return nullcontext()
    return event_span("ask Temporal", workflow_id)
