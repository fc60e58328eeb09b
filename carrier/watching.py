"""How long Twilio takes to answer, and a span for each request. Neither has a URL in it: they hold SIDs and numbers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind

from carrier.errors import CarrierError
from telemetry import metrics
from telemetry.tracing import tracer


@dataclass(slots=True)
class Watch:
    """One request."""

    span: Span

    def answered(self, status: int) -> None:
        self.span.set_attribute("http.response.status_code", status)


@contextmanager
def watched(method: str, url: str) -> Iterator[Watch]:
    """Measures what happens inside, and counts it by its outcome."""
    operation, outcome, began = _operation(method, url), "failed", monotonic()
    attributes = {"http.request.method": method, "server.address": "Twilio"}
    with tracer().start_as_current_span(
        operation, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False
    ) as span:
        try:
            yield Watch(span)
            outcome = "accepted"
        except CarrierError as error:
            outcome = error.outcome
            span.set_attribute("error.type", outcome)
            if error.http_status is not None:
                span.set_attribute("http.response.status_code", error.http_status)
            if error.code is not None:
                span.set_attribute("heliograph.error_code", error.code)
            raise
        finally:
            metrics.TWILIO_REQUESTS.labels(operation=operation, outcome=outcome).observe(monotonic() - began)


def _operation(method: str, url: str) -> str:
    """`POST Messages`, `GET Messages/{sid}` and the like."""
    words = [part.removesuffix(".json") for part in urlsplit(url).path.split("/") if part]
    named = [part if re.fullmatch(r"[A-Z][A-Za-z]{3,30}", part) else "{sid}" for part in words[-2:]]
    return f"{method} {'/'.join(named) if named[-1:] == ['{sid}'] else ''.join(named[-1:])}"
