"""One trace for all that happens to an event, received over OTLP by a real receiver; nothing personal is in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from devstack.processes import free_ports
from devstack.stack import Ports, Stack
from telemetry.tracing import trace_id_of
from tests.stack.test_whole import CANARY_ORDER, Whole
from tests.world import KEY, stack_environment

CALLERS_TRACE, CALLERS_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Received:
    """A span, and the process that sent it."""

    def __init__(self, service: str, span: Any) -> None:
        self.service = service
        self.name: str = span.name
        self.id: str = span.span_id.hex()
        self.parent: str = span.parent_span_id.hex()
        self.trace: str = span.trace_id.hex()
        self.links = {link.trace_id.hex() for link in span.links}
        self.attributes = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
        self.told = [event.name for event in span.events] + [span.status.message]


class Receiver:
    """Takes OTLP over HTTP, and keeps every byte."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(content_type="application/x-protobuf")

    @property
    def spans(self) -> list[Received]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found += [Received(named["service.name"], span) for span in scope.spans]
        return found

    def of(self, event_id: str) -> list[Received]:
        return [span for span in self.spans if span.trace == f"{trace_id_of(event_id):032x}"]

    async def until(self, event_id: str, *names: str) -> dict[str, Received]:
        """The event's spans by name, as soon as all of these have come."""
        for _ in range(150):
            found = {span.name: span for span in self.of(event_id)}
            if found.keys() >= set(names):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{set(names) - found.keys()} is missing; there are {sorted(found)}")


class Traced(Whole):
    receiver: Receiver


@pytest.fixture(scope="module")
async def traced(data: Path) -> AsyncIterator[Traced]:
    receiver, [port] = Receiver(), free_ports(1)
    application = web.Application()
    application.router.add_post("/v1/traces", receiver.take)
    stack = Stack(Ports.free(), data / "traced", {})
    stack.environment = {
        **stack_environment(stack),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=a%20key",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "TWILIO_READ_TIMEOUT_SECONDS": "2",
        "RECONCILE_EVERY_SECONDS": "5",
        "RECONCILE_AFTER_SECONDS": "5",
    }
    async with AsyncExitStack() as parts:
        runner = web.AppRunner(application)
        await runner.setup()
        parts.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        parts.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start)
        whole = Traced(stack)
        whole.receiver = receiver
        parts.push_async_callback(whole.http.aclose)
        parts.push_async_callback(whole.phones.close)
        yield whole


async def test_post_workflow_send_and_callback_are_one_trace(traced: Traced) -> None:
    event = traced.event()
    await traced.post(event, traceparent=f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01")
    story = await traced.until(event["eventId"], "delivered")
    spans = await traced.receiver.until(
        event["eventId"],
        "take order-shipped",
        "StartWorkflow:Notification",
        "RunWorkflow:Notification",
        "StartActivity:deliver",
        "RunActivity:deliver",
        "POST Messages",
        "callback",
        "SignalWorkflow:final-status",
        "HandleSignal:final-status",
    )
    by_id = {span.id: span for span in traced.receiver.of(event["eventId"])}
    way, span = [], spans["POST Messages"]
    while span is not None:
        way.append(span.name)
        span = by_id.get(span.parent)
    assert way == [
        "POST Messages",
        "RunActivity:deliver",
        "StartActivity:deliver",
        "StartWorkflow:Notification",
        "take order-shipped",
    ]
    assert by_id[spans["RunWorkflow:Notification"].parent].name == "StartWorkflow:Notification"
    assert by_id[spans["SignalWorkflow:final-status"].parent].name == "callback"
    assert spans["take order-shipped"].links == {CALLERS_TRACE}
    assert {span.service for span in by_id.values()} == {"heliograph-api", "heliograph-worker"}
    for name in ("take order-shipped", "callback", "RunActivity:deliver"):
        assert spans[name].attributes["heliograph.event_id"] == event["eventId"]
    assert spans["callback"].attributes["heliograph.message_sid"] == story["sid"]
    assert spans["RunActivity:deliver"].attributes["heliograph.message_sid"] == story["sid"]
    assert spans["POST Messages"].attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "server.address": "Twilio",
    }


async def test_a_callers_own_trace_goes_on_in_the_request(traced: Traced) -> None:
    event = traced.event()
    await traced.post(event, traceparent=f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01")
    await traced.receiver.until(event["eventId"], "take order-shipped")
    for _ in range(50):
        requests = [span for span in traced.receiver.spans if span.trace == CALLERS_TRACE]
        if requests:
            break
        await asyncio.sleep(0.1)
    assert {span.name for span in requests} == {"POST /api/order-shipped-sms"}
    assert {span.parent for span in requests} == {CALLERS_SPAN}
    assert requests[0].attributes["http.response.status_code"] == 202


async def test_what_the_reconciliation_restarts_stays_in_the_events_trace(traced: Traced) -> None:
    event = traced.event(deliveryTimeoutSeconds=86_400)
    await traced.phones.behave(event["phone"], callbacks={"lose": "all"})
    await traced.post(event)
    await traced.until(event["eventId"], "delivered", seconds=40)
    spans = await traced.receiver.until(event["eventId"], "ask Temporal", "SignalWorkflow:final-status")
    assert spans["ask Temporal"].service == "heliograph-worker"


async def test_nothing_personal_leaves_in_a_span(traced: Traced) -> None:
    """The last one here: it reads what all the others have sent."""
    refused = traced.event(operatorNote="canary-note-0815")
    await traced.phones.behave(refused["phone"], outcome="refused", errorCode=21614)
    await traced.post(refused)
    await traced.until(refused["eventId"], lambda story: "escalated" in story)
    lost = traced.event()
    await traced.phones.behave(lost["phone"], create=[{"fault": "reset", "accept": True}], callbacks={"lose": "all"})
    await traced.post(lost)
    await traced.until(lost["eventId"], "delivered", seconds=30)
    await traced.http.get(f"/api/recipients/{refused['phone']}/consent")
    await traced.http.get("/api/notifications", params={"phone": refused["phone"]})
    await traced.http.get(f"/no/such/path/{refused['phone']}")
    await traced.http.post(f"/twilio/status-callback?eventId={lost['eventId']}", data={"To": lost["phone"]})
    spans = await traced.receiver.until(refused["eventId"], "RunActivity:tell-operators")
    assert spans["RunActivity:deliver"].attributes["error.type"].endswith("ApplicationError")
    await traced.receiver.until(lost["eventId"], "GET Messages")
    await asyncio.sleep(1)
    sent = b"".join(traced.receiver.bodies)
    assert refused["eventId"].encode() in sent, "the search finds what is there"
    for canary in (CANARY_ORDER, KEY, "canary-note", "simulator-token", *(number[1:] for number in traced.numbers)):
        assert canary.encode() not in sent, canary
    assert {told for span in traced.receiver.spans for told in span.told} == {""}
    assert {headers["x-api-key"] for headers in traced.receiver.headers} == {"a key"}
