"""`make drill`: causes what each alert is about, on a real stack, and waits until a real Prometheus says that it fires.

Clocks are shortened so that it ends within minutes: windows of the rules, their patience and limits of time; counts and
ratios are those of production. docs/runbook.md is written from what is seen here.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from temporalio.client import Client
from twilio.request_validator import RequestValidator

from devstack.processes import free_ports
from devstack.stack import Ports, Stack
from settings import SIMULATOR_AUTH_TOKEN, SIMULATOR_WEBHOOK_SECRET
from tests.chaos.databases import Postgres
from tests.monitoring.tools import RULES, Prometheus, rules
from tests.stack.test_whole import Whole
from tests.world import KEY, stack_environment
from workflows import names

OTHER_KEY = "another-key-for-the-drill"
PATIENCE = 240.0  # seconds; a dead worker is missed after 150
WINDOW = "40s"
SHORTENED = (
    (r"\[\d+[mh]\]", f"[{WINDOW}]"),
    (r"for: \w+", "for: 2s"),
    (r"> 600\b", "> 15"),
    (r"> (300|60)\b", "> 10"),
    (r"\+ 300\b", "+ 5"),
)


def shortened() -> str:
    text = RULES.read_text()
    for pattern, short in SHORTENED:
        text = re.sub(pattern, short, text)
    return text


class Drilled(Whole):
    """A stack on PostgreSQL, whose numbers are of many ranges."""

    temporal: Client
    database: Postgres

    def event(self, **fields: Any) -> dict[str, Any]:
        event = super().event(**fields)
        spread = 2_000_000 + int(event["phone"][-6:]) * 7919 % 7_000_000
        return event | {"phone": fields.get("phone", f"+1555{spread}")}

    async def post_some(self, count: int, *, wait: float = 0, **scenario: Any) -> list[dict[str, Any]]:
        """Events whose phones behave as the scenario says."""
        events = [self.event() for _ in range(count)]
        for event in events:
            if scenario:
                await self.phones.behave(event["phone"], **scenario)
            await self.post(event)
        await asyncio.sleep(wait)
        return events

    async def all_become(self, events: list[dict[str, Any]], status: str) -> None:
        """Once the fault is mended. Raises AssertionError."""
        for event in events:
            await self.until(event["eventId"], status, PATIENCE)

    async def simulator(self, path: str, **body: Any) -> None:
        async with httpx.AsyncClient(base_url=self.stack.simulator_url) as http:
            (await http.put(path, json=body)).raise_for_status()

    async def restart(self, name: str) -> None:
        await asyncio.to_thread({
            "worker": self.stack.start_worker, "api": self.stack.start_api, "temporal": self.stack.start_temporal,
            "simulator": self.stack.start_simulator,
        }[name])  # fmt: skip


Fault = Callable[[Drilled], AsyncIterator[None]]
FAULTS: list[tuple[tuple[str, ...], str, Fault]] = []


def fault(*alerts: str) -> Callable[[Fault], Fault]:
    """Registers what makes these alerts fire: it begins, stays until they do, and is mended."""

    def register(function: Fault) -> Fault:
        FAULTS.append((alerts, (function.__doc__ or "").strip(), function))
        return function

    return register


@fault("HeliographEventsRefused")
async def _wrong_events(drilled: Drilled) -> AsyncIterator[None]:
    """A caller posts twenty events without consentAt's offset."""
    for _ in range(20):
        await drilled.post(drilled.event(consentAt="2026-01-01T00:00:00"))
        await asyncio.sleep(0.2)
    yield


@fault("HeliographCallerTooFast")
async def _too_fast(drilled: Drilled) -> AsyncIterator[None]:
    """A caller asks 900 times in a few seconds; 40 a second are allowed."""
    for _ in range(30):
        await asyncio.gather(*(drilled.http.get("/api/notifications/no-such-event") for _ in range(30)))
        await asyncio.sleep(0.2)
    yield


@fault("HeliographOverloaded")
async def _overloaded(drilled: Drilled) -> AsyncIterator[None]:
    """Temporal hangs (SIGSTOP) for a quarter of a minute, and thirty events a second go on coming in."""
    temporal = drilled.part("temporal").pid
    posts = []
    os.kill(temporal, signal.SIGSTOP)
    try:
        for _ in range(450):
            posts.append(asyncio.create_task(drilled.post(drilled.event())))
            await asyncio.sleep(1 / 30)
    finally:
        os.kill(temporal, signal.SIGCONT)
    answers = await asyncio.gather(*posts)
    yield
    for answer in answers:
        if answer.status_code == 202:
            await drilled.until(answer.json()["eventId"], "delivered", PATIENCE)


@fault("HeliographTwilioRefuses", "HeliographManyEscalations", "HeliographNotDelivered")
async def _refused(drilled: Drilled) -> AsyncIterator[None]:
    """Twilio refuses twelve texts with 30034, an unregistered number."""
    await drilled.post_some(12, outcome="refused", errorCode=30034)
    yield


@fault("HeliographNotDelivered")
async def _undelivered(drilled: Drilled) -> AsyncIterator[None]:
    """The carrier does not deliver ten texts (30003)."""
    await drilled.post_some(10, outcome="undelivered", errorCode=30003)
    yield


@fault("HeliographTwilioDown")
async def _twilio_down(drilled: Drilled) -> AsyncIterator[None]:
    """kill -9 of the simulator: no connection to Twilio is made."""
    drilled.part("simulator").kill()
    events = await drilled.post_some(10)
    yield
    await drilled.restart("simulator")
    await drilled.all_become(events, "delivered")


@fault("HeliographTwilioSlow", "HeliographSlowToTwilio")
async def _twilio_slow(drilled: Drilled) -> AsyncIterator[None]:
    """Twilio takes 12 seconds for each answer."""
    events = await drilled.post_some(15, createForever={"fault": "slow", "seconds": 12})
    yield
    await drilled.all_become(events, "delivered")


@fault("HeliographUnknown")
async def _unknown(drilled: Drilled) -> AsyncIterator[None]:
    """The connection breaks after three POSTs, and Twilio has none of them."""
    await drilled.post_some(3, create=[{"fault": "reset", "accept": False}])
    yield


@fault("HeliographNoCallbacks")
async def _no_callbacks(drilled: Drilled) -> AsyncIterator[None]:
    """Twilio takes ten texts; every callback is lost."""
    await asyncio.sleep(45)
    events = await drilled.post_some(10, callbacks={"lose": "all"})
    yield
    await drilled.all_become(events, "delivered")  # the reconciliation asks Twilio


@fault("HeliographForgedCallbacks")
async def _forged(drilled: Drilled) -> AsyncIterator[None]:
    """Callbacks come with a wrong signature, as after a change of the auth token."""
    await drilled.post_some(5, callbacks={"badSignature": True})
    yield


@fault("HeliographTextedTwice")
async def _twice(drilled: Drilled) -> AsyncIterator[None]:
    """A second Message SID reports, with Twilio's signature, for a text that was sent."""
    [event] = await drilled.post_some(1, outcome="sent")
    await drilled.until(event["eventId"], "sent")
    path = f"/twilio/status-callback?eventId={event['eventId']}"
    form = {"MessageSid": "SM" + "9" * 32, "MessageStatus": "sent"}
    signature = RequestValidator(SIMULATOR_AUTH_TOKEN).compute_signature(drilled.stack.api_url + path, form)
    await drilled.http.post(path, data=form, headers={"X-Twilio-Signature": signature})
    yield


@fault("HeliographWebhooksNotTaken")
async def _webhooks(drilled: Drilled) -> AsyncIterator[None]:
    """The operators' endpoint answers 500 to everything."""
    await drilled.simulator("/simulator/operators", failNext=100_000)
    events = await drilled.post_some(3, outcome="refused")
    yield
    await drilled.simulator("/simulator/operators", failNext=0)
    for event in events:
        await drilled.until(event["eventId"], lambda story: story.get("escalated") == "refused", PATIENCE)


@fault("HeliographEndpointDisabled")
async def _endpoint_gone(drilled: Drilled) -> AsyncIterator[None]:
    """A caller's endpoint answers 410."""
    await asyncio.sleep(3)
    await drilled.simulator("/simulator/operators", failNext=1, status=410)
    await drilled.post_some(1)
    yield
    (await drilled.http.post("/api/webhooks/endpoints/shop/enable")).raise_for_status()


@fault("HeliographNobodyAcknowledges")
async def _nobody(drilled: Drilled) -> AsyncIterator[None]:
    """A critical incident is texted to somebody who does not answer."""
    event = drilled.event()
    incident = {
        "eventId": event["eventId"].replace("order-shipped", "incident"),
        "groupKey": "drill",
        "service": "checkout-api",
        "severity": "critical",
        "summary": "5xx over 5 %",
        "contacts": [{"phone": event["phone"]}],
        "channels": ["sms"],
        "acknowledgeWithinSeconds": 5,
        "rounds": 1,
        "consentAt": event["consentAt"],
    }
    (await drilled.http.post("/api/incident-alert-sms", json=incident)).raise_for_status()
    yield


@fault("HeliographPumping")
async def _pumping(drilled: Drilled) -> AsyncIterator[None]:
    """Forty numbers of one range are texted; thirty in ten minutes are allowed."""
    for number in range(40):
        await drilled.post(drilled.event(phone=f"+1555999{number:04d}"))
    yield


@fault("HeliographBudgetSpent")
async def _budget(drilled: Drilled) -> AsyncIterator[None]:
    """A caller whose budget is two segments posts five events."""
    for _ in range(5):
        await drilled.post(drilled.event(), Authorization=f"Bearer {OTHER_KEY}")
    yield


@fault("HeliographSlowToHandset")
async def _slow_handsets(drilled: Drilled) -> AsyncIterator[None]:
    """The handsets get ten texts after 14 seconds."""
    await drilled.post_some(10, wait=14, finalAfter=14)
    yield


@fault("HeliographCallbacksLate")
async def _late_callbacks(drilled: Drilled) -> AsyncIterator[None]:
    """Callbacks come 80 seconds after the handset had the text."""
    await drilled.post_some(10, wait=80, callbacks={"delay": 80})
    yield


@fault("HeliographWorkflowTasksFail")
async def _broken_workflow(drilled: Drilled) -> AsyncIterator[None]:
    """A workflow of a type that this worker does not know, as after a roll-back to an older version."""
    handle = await drilled.temporal.start_workflow("FromTheFuture", id="from-the-future", task_queue=names.TASK_QUEUE)
    yield
    await handle.terminate()


@fault("HeliographSchedulePaused", "HeliographScheduleStopped")
async def _paused(drilled: Drilled) -> AsyncIterator[None]:
    """The reconciliation's schedule is paused."""
    schedule = drilled.temporal.get_schedule_handle(names.RECONCILIATION)
    await schedule.pause()
    yield
    await schedule.unpause()


@fault("HeliographPartDown")
async def _no_temporal(drilled: Drilled) -> AsyncIterator[None]:
    """kill -9 of Temporal."""
    drilled.part("temporal").kill()
    yield
    await drilled.restart("temporal")


@fault("HeliographPartDown")
async def _no_database(drilled: Drilled) -> AsyncIterator[None]:
    """kill -9 of PostgreSQL for half a minute."""
    gone = asyncio.create_task(drilled.database.vanish(30))
    yield
    await gone


@fault("HeliographApiDown")
async def _no_api(drilled: Drilled) -> AsyncIterator[None]:
    """kill -9 of the API."""
    drilled.part("api").kill()
    yield
    await drilled.restart("api")


@fault("HeliographWorkerNotScraped", "HeliographBacklog", "HeliographOverdue", "HeliographNoWorker")
async def _no_worker(drilled: Drilled) -> AsyncIterator[None]:
    """kill -9 of the worker, and ten events that wait."""
    drilled.part("worker").kill()
    events = await drilled.post_some(10)
    yield
    await drilled.restart("worker")
    await drilled.all_become(events, "delivered")


@dataclass(frozen=True, slots=True)
class Seen:
    """How long after the fault an alert fired; None when it did not."""

    alert: str
    fault: str
    seconds: float | None


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Drilled, Prometheus]]:
    [port] = free_ports(1)
    async with AsyncExitStack() as parts:
        database = Postgres(folder)
        parts.callback(database.close)
        stack = Stack(Ports.free(), folder / "stack", {})
        stack.environment = {
            **stack_environment(stack),
            "API_KEYS": f"shop={KEY},other={OTHER_KEY}",
            "METRICS_PORT": str(port),
            "DATABASE_URL": str(database.url),
            "TWILIO_READ_TIMEOUT_SECONDS": "15",
            "EVENTS_WEBHOOK_URL": f"{stack.simulator_url}/operators/webhook",
            "EVENTS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
            "RECONCILE_EVERY_SECONDS": "5",
            "RECONCILE_AFTER_SECONDS": "30",
            "CALLER_RATE_PER_SECOND": "40",
            "CALLER_BUDGET": "1000000,other=2",
            "PUMPING_LIMIT": "30/10m",
            "RECIPIENT_CAPS": "none",
        }
        parts.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start)
        drilled = Drilled(stack)
        drilled.database = database
        drilled.temporal = await Client.connect(f"127.0.0.1:{stack.ports.temporal}")
        parts.push_async_callback(drilled.http.aclose)
        parts.push_async_callback(drilled.phones.close)
        targets = {
            "heliograph-api": [f"127.0.0.1:{stack.ports.api}"],
            "heliograph-worker": [f"127.0.0.1:{port}"],
        }
        prometheus = await parts.enter_async_context(Prometheus(folder / "prometheus", targets, shortened()))
        await prometheus.until('min(up{job=~"heliograph-.+"}) == 1')
        await drilled.post_some(5, wait=3)
        yield drilled, prometheus


async def drill(drilled: Drilled, prometheus: Prometheus, wanted: set[str]) -> AsyncIterator[Seen]:
    """One fault after the other, of the alerts that are wanted."""
    for alerts, says, cause in FAULTS:
        if wanted.isdisjoint(alerts):
            continue
        await _until(partial(_quiet, prometheus, alerts))
        course, began = cause(drilled), time.monotonic()
        await anext(course)
        for alert in alerts:
            fires = await _until(partial(_fires, prometheus, alert))
            yield Seen(alert, says, time.monotonic() - began if fires else None)
        async for _ in course:
            pass


async def _fires(prometheus: Prometheus, alert: str) -> bool:
    return alert in await prometheus.firing()


async def _quiet(prometheus: Prometheus, alerts: tuple[str, ...]) -> bool:
    return (await prometheus.firing()).isdisjoint(alerts)


async def _until(holds: Callable[[], Awaitable[bool]]) -> bool:
    end = time.monotonic() + PATIENCE
    while not await holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.5)
    return True


async def main(wanted: set[str]) -> int:
    console, failed = Console(highlight=False, soft_wrap=True), 0
    with tempfile.TemporaryDirectory(prefix="dr", ignore_cleanup_errors=True) as folder:
        async with running(Path(folder)) as (drilled, prometheus):
            async for seen in drill(drilled, prometheus, wanted):
                told = f"after {seen.seconds:.0f} s" if seen.seconds is not None else "[red]NOT SEEN[/]"
                console.print(f"{seen.alert}: {told}: {seen.fault}")
                failed += seen.seconds is None
    return int(failed > 0)


if __name__ == "__main__":
    if shutil.which("prometheus") is None:
        sys.exit("prometheus is needed: apt-get install --no-install-recommends prometheus")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(asyncio.run(main(set(sys.argv[1:]) or {rule["alert"] for rule in rules()})))
