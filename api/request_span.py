"""One span per request, with the route and not the path: paths hold numbers. A caller's own trace goes on in it."""

from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Receive, Scope, Send

from api.answer_status import AnswerStatus
from telemetry.tracing import tracer

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
_SILENT = ("/healthz", "/readyz", "/metrics")


class RequestSpan:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _SILENT:
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        came_with = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracer().start_as_current_span(
            method,
            context=self._propagator.extract({"traceparent": came_with.get("traceparent", "")}),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
            record_exception=False,
        ) as span:
            status = AnswerStatus(send)
            try:
                await self._app(scope, receive, status.send)
            finally:
                span.set_attribute("http.response.status_code", status.value)
                route = getattr(scope.get("route"), "path", "(none)")
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
