"""OpenTelemetry, behind a setting: one trace for everything that happens to an event.

Its ID is derived from the eventId, so that what belongs together is found together without anything being handed on:
the post, the workflow, the sends, and Twilio's callbacks hours later, told by whichever process. A caller's own trace
(`traceparent`) is linked to it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Link, Span, Status, Tracer

# What a span may say. Whatever a library adds, a URL or an exception's text, stays here.
MAY_LEAVE = frozenset(
    {
        "error.type",
        "heliograph.channel",
        "heliograph.error_code",
        "heliograph.event_id",
        "heliograph.kind",
        "heliograph.message_sid",
        "heliograph.status",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "server.address",
        "temporalActivityID",
        "temporalRunID",
        "temporalUpdateID",
        "temporalWorkflowID",
    }
)

_tracer: Tracer = trace.NoOpTracer()
_trace_id: ContextVar[int | None] = ContextVar("trace_id", default=None)


def tracer() -> Tracer:
    """Ours; it does nothing until `start` was called."""
    return _tracer


def start(service: str, endpoint: str, headers: Mapping[str, str], ratio: float) -> TracerProvider:
    """Sends the spans of this process to `endpoint` by OTLP over HTTP from now on; shut it down at the end.

    `ratio` of the events, 0 to 1, is traced, each wholly or not at all.
    """
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before.
    resource = Resource({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(
        resource=resource, id_generator=_EventIds(), sampler=ParentBasedTraceIdRatio(ratio), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", headers=dict(headers))
    provider.add_span_processor(BatchSpanProcessor(Discreet(exporter)))
    # Not OpenTelemetry's own global one: libraries that find it, FastAPI among them, would speak by themselves.
    global _tracer
    _tracer = provider.get_tracer("heliograph")
    return provider


def trace_id_of(event_id: str) -> int:
    """The ID of an event's trace."""
    return int.from_bytes(hashlib.sha256(f"heliograph:{event_id}".encode()).digest()[:16])


def in_trace_of(event_id: str) -> bool:
    """Whether the span that we are in is of the event's trace."""
    current = trace.get_current_span().get_span_context()
    return current.is_valid and current.trace_id == trace_id_of(event_id)


@contextmanager
def event_span(name: str, event_id: str, **attributes: str | int | None) -> Iterator[None]:
    """A span in the event's trace: a child where we are in it already, else linked to where we come from."""
    current, wanted = trace.get_current_span().get_span_context(), trace_id_of(event_id)
    told = {"event_id": event_id, **attributes}
    options: dict[str, Any] = {
        "attributes": {f"heliograph.{key}": value for key, value in told.items() if value is not None},
    }
    if not in_trace_of(event_id):
        options |= {"context": Context(), "links": [Link(current)] if current.is_valid else []}
    token = _trace_id.set(wanted)
    try:
        span = tracer().start_span(name, **options)
    finally:
        _trace_id.reset(token)
    with trace.use_span(span, end_on_exit=True, record_exception=False):
        yield


def annotate(**attributes: str | int | None) -> None:
    """Adds to the span that we are in."""
    span: Span = trace.get_current_span()
    for key, value in attributes.items():
        if value is not None:
            span.set_attribute(f"heliograph.{key}", value)


class _EventIds(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return _trace_id.get() or super().generate_trace_id()


class Discreet(SpanExporter):
    """Lets out the attributes that are named above, and of an exception its type alone."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_reduced(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _reduced(span: ReadableSpan) -> ReadableSpan:
    attributes = {key: value for key, value in (span.attributes or {}).items() if key in MAY_LEAVE}
    for event in span.events:
        kind = (event.attributes or {}).get("exception.type")
        if kind is not None:
            attributes.setdefault("error.type", kind)
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
