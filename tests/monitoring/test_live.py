"""The rules and the dashboard, on a real Prometheus that scrapes a real API and a real worker."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from devstack.processes import free_ports
from devstack.stack import Ports, Stack
from settings import SIMULATOR_WEBHOOK_SECRET
from tests.monitoring.tools import DASHBOARD, RULES, Prometheus, names_in, needs_prometheus, rules
from tests.stack.test_whole import Whole
from tests.world import stack_environment
from workflows import names

pytestmark = needs_prometheus

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def asked(panel: dict[str, Any]) -> list[str]:
    """A panel's questions, with Grafana's variables filled in."""
    expressions = [target["expr"] for target in panel["targets"]]
    return [one.replace("$__rate_interval", "1m").replace("$kind", ".*") for one in expressions]


class Watched(Whole):
    """A stack, and a Prometheus that has seen it at work."""

    prometheus: Prometheus


@pytest.fixture(scope="module")
async def watched(data: Path) -> AsyncIterator[Watched]:
    [metrics_port] = free_ports(1)
    stack = Stack(Ports.free(), data / "watched", {})
    stack.environment = {
        **stack_environment(stack),
        "METRICS_PORT": str(metrics_port),
        "TWILIO_READ_TIMEOUT_SECONDS": "2",
        "CALLER_RATE_PER_SECOND": "40",
        "RECONCILE_EVERY_SECONDS": "5",
        "RECONCILE_AFTER_SECONDS": "5",
        "EVENTS_WEBHOOK_URL": f"{stack.simulator_url}/operators/webhook",
        "EVENTS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
    }
    targets = {
        "heliograph-api": [f"127.0.0.1:{stack.ports.api}"],
        "heliograph-worker": [f"127.0.0.1:{metrics_port}"],
    }
    async with AsyncExitStack() as parts:
        parts.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start)
        watched = Watched(stack)
        parts.push_async_callback(watched.http.aclose)
        parts.push_async_callback(watched.phones.close)
        prometheus = Prometheus(data / "prometheus", targets, RULES.read_text())
        watched.prometheus = await parts.enter_async_context(prometheus)
        await prometheus.until('min(up{job=~"heliograph-.+"}) == 1')
        await happen(watched)
        yield watched


async def happen(whole: Whole) -> None:
    """One of everything that the metrics tell of, twice: a rate needs a second sample."""
    client = await Client.connect(f"127.0.0.1:{whole.stack.ports.temporal}")
    await client.start_workflow("NoSuchWorkflow", id="no-such-workflow", task_queue=names.TASK_QUEUE)
    for _ in range(2):
        async with httpx.AsyncClient(base_url=whole.stack.simulator_url) as simulator:
            await simulator.put("/simulator/operators", json={"failNext": 1})
        told = [await one(whole) for one in (delivered, refused, undelivered, unknown, found_again)]
        await whole.post(told[0])
        forged = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
        await whole.http.post("/twilio/status-callback?eventId=forged", data=forged)
        await whole.http.post("/twilio/status-callback", data=forged, headers={"X-Twilio-Signature": "forged"})
        await asyncio.gather(*(whole.http.get("/api/notifications/no-such-event") for _ in range(80)))
        await asyncio.sleep(2)
        for event, status in zip(told, ("delivered", "failed", "undelivered", "unknown", "delivered"), strict=True):
            await whole.until(event["eventId"], status, seconds=30)
    await client.get_workflow_handle("no-such-workflow").terminate()


async def some(whole: Whole, **scenario: Any) -> dict[str, Any]:
    event = whole.event(deliveryTimeoutSeconds=60)
    await whole.phones.behave(event["phone"], **scenario)
    await whole.post_until_taken(event)
    return event


async def delivered(whole: Whole) -> dict[str, Any]:
    return await some(whole)


async def refused(whole: Whole) -> dict[str, Any]:
    return await some(whole, outcome="refused", errorCode=21211)


async def undelivered(whole: Whole) -> dict[str, Any]:
    return await some(whole, outcome="undelivered", errorCode=30003)


async def unknown(whole: Whole) -> dict[str, Any]:
    return await some(whole, create=[{"fault": "reset", "accept": False}])


async def found_again(whole: Whole) -> dict[str, Any]:
    return await some(whole, create=[{"fault": "reset", "accept": True}], callbacks={"delay": 1})


async def test_everything_that_rules_and_panels_read_is_told(watched: Watched) -> None:
    expressions = [rule["expr"] for rule in rules()] + [one for panel in PANELS for one in asked(panel)]
    wanted = set().union(*map(names_in, expressions))
    assert len(wanted) > 30
    assert wanted - await watched.prometheus.names() == set()


async def test_every_rule_can_be_evaluated(watched: Watched) -> None:
    loaded = await watched.prometheus.rules()
    assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
    assert [rule["name"] for rule in loaded if rule["health"] != "ok" or rule.get("lastError")] == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
async def test_every_panel_shows_something(watched: Watched, panel: dict[str, Any]) -> None:
    for expression in asked(panel):
        found = await watched.prometheus.until(expression, seconds=15)
        assert all(one["value"][1] != "NaN" for one in found) or "histogram_quantile" in expression, expression


async def test_what_happened_is_what_prometheus_says(watched: Watched) -> None:
    """Waits for each figure: what is told after an end, to operators and callers, has no moment of its own."""

    async def told(metric: str, expected: str) -> None:
        await watched.prometheus.until(f"sum(heliograph_{metric}) {expected}", seconds=20)

    await told('ended_total{status="failed",code="21211"}', "== 2")
    await told('ended_total{status="undelivered",code="30003"}', "== 2")
    await told("unknown_total", "== 4")
    await told("unknown_settled_total", "== 2")
    await told('duplicates_stopped_total{guard="database"}', ">= 2")
    await told('callback_signature_failures_total{signature="wrong"}', "== 2")
    await told('callback_signature_failures_total{signature="missing"}', "== 2")
    await told('escalated_total{reason="refused"}', "== 2")
    await told('webhooks_total{audience="caller",result="taken"}', ">= 4")


async def test_a_process_tells_its_own_and_its_sdks_metrics_in_seconds(watched: Watched) -> None:
    port = watched.stack.environment["METRICS_PORT"]
    async with httpx.AsyncClient() as http:
        worker = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    api = (await watched.http.get("/metrics")).text
    assert "heliograph_sends_total{" in worker
    assert "temporal_activity_schedule_to_start_latency_seconds_bucket{" in worker
    assert "temporal_request_latency_seconds_bucket{" in api
    for told in (worker, api):
        assert not re.search(r"_milliseconds|latency_(bucket|sum)", told)
        assert not [number for number in watched.numbers if number[1:] in told]
        assert not re.search(r'order-shipped:\d|[A-Z]{2}[0-9a-f]{32}|"\+?\d{8,}"', told)


async def test_a_worker_whose_port_is_taken_works_all_the_same(watched: Watched) -> None:
    process = await asyncio.to_thread(watched.stack.start_worker, "worker-2")
    try:
        await asyncio.to_thread(process.wait_ready, lambda: "METRICS_PORT cannot be used yet" in process.tail(), 5)
        assert process.running
    finally:
        await asyncio.to_thread(process.stop, 75)


def test_the_dashboard_is_whole() -> None:
    assert BOARD["uid"] == "heliograph"
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert all(target["expr"] and target["refId"] for target in panel["targets"])
