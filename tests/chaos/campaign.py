"""One campaign: start the stack, let it storm, wait until everything has an end, audit."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from devstack.processes import free_ports
from devstack.stack import Ports, Stack
from engine import connect
from settings import SIMULATOR_WEBHOOK_SECRET
from tests.chaos.auditor import FINAL, Findings, Records, audit, by_phone
from tests.chaos.databases import Postgres, Sqlite, Tortured
from tests.chaos.faults import Faults, Storm
from tests.chaos.load import Callers
from tests.chaos.network import Line, OperatorsDesk
from tests.chaos.shifts import Shifts
from tests.world import KEY, settings_for


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard and how long."""

    events: int
    seed: int
    per_second: float
    pause: tuple[float, float]
    """Seconds between two faults."""
    deadline: tuple[int, int]
    """Seconds: the events' deliveryTimeoutSeconds."""
    list_lag: float
    settle: float
    """Seconds to wait for the last event's end."""
    reconcile_after: int = 30
    postgres: bool = False
    processes: int = 1
    """How many API and how many worker processes. Several come and go, and nothing else goes wrong."""


@dataclass
class Result:
    """What it came to."""

    findings: Findings
    records: Records
    faults: Counter[str]
    fates: Counter[str]
    repeats: int
    tries: int
    gave_up: int
    seconds: float
    settled_in: float
    unsettled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where it storms: the stack, and who and what is around it."""

    stack: Stack
    database: Tortured
    client: Client
    callers: Callers
    desk: OperatorsDesk
    faults: Storm


@asynccontextmanager
async def ground(
    plan: Plan, folder: Path, *, callers: type[Callers] = Callers, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Ground]:
    """All of it running; `environment` goes before. Raises ProcessFailed when a part does not start."""
    async with AsyncExitStack() as at_the_end:
        ports = Ports.free()
        line = await at_the_end.enter_async_context(Line(ports.simulator).open())
        desk = await at_the_end.enter_async_context(OperatorsDesk(SIMULATOR_WEBHOOK_SECRET).open())
        settings = {
            "API_KEYS": f"shop={KEY}",
            "OPERATIONS_WEBHOOK_URL": f"http://127.0.0.1:{desk.port}/",
            "OPERATIONS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{line.port}",
            "TWILIO_CONNECT_TIMEOUT_SECONDS": "2",
            "TWILIO_READ_TIMEOUT_SECONDS": "4",
            "RECONCILE_EVERY_SECONDS": str(max(5, plan.reconcile_after // 3)),
            "RECONCILE_AFTER_SECONDS": str(plan.reconcile_after),
        } | dict(environment or {})
        database: Tortured = Postgres(folder) if plan.postgres else Sqlite(folder)
        at_the_end.callback(database.close)
        if database.url:
            settings["DATABASE_URL"] = database.url
        several = plan.processes > 1
        api_ports = [ports.api, *free_ports(plan.processes - 1)]
        balancer = await at_the_end.enter_async_context(Line(*api_ports).open())
        settings["PUBLIC_BASE_URL"] = f"http://127.0.0.1:{balancer.port}"
        stack = Stack(ports, folder, settings)
        at_the_end.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start_servers)
        shifts = Shifts(stack, api_ports, random.Random(plan.seed + 1))
        await (shifts.start() if several else asyncio.to_thread(stack.start_processes))
        client = await connect(settings_for(folder / "client", temporal_address=f"127.0.0.1:{ports.temporal}"))
        # Two streams of chance: how long faults take must not change what the callers do.
        posting = callers(
            [f"http://127.0.0.1:{port}" for port in api_ports],
            stack.simulator_url,
            random.Random(plan.seed),
            plan.deadline,
            plan.list_lag,
            fair_weather=several,
        )
        await at_the_end.enter_async_context(posting)
        one_of_each = Faults(stack, database, line, posting, client, random.Random(plan.seed + 1))
        yield Ground(stack, database, client, posting, desk, shifts if several else one_of_each)


async def run(plan: Plan, folder: Path, tell: Any = lambda _: None) -> Result:
    """Raises ProcessFailed when a part does not come back."""
    began = time.monotonic()
    async with ground(plan, folder) as here:
        callers, faults = here.callers, here.faults
        await storm(here, plan, tell)
        calm = time.monotonic()
        records, unsettled = await settled(here, plan.settle, tell)
        return Result(
            findings=audit(records),
            records=records,
            faults=faults.done,
            fates=Counter(callers.fates.values()),
            repeats=callers.repeats,
            tries=callers.tries,
            gave_up=len(callers.gave_up),
            seconds=time.monotonic() - began,
            settled_in=time.monotonic() - calm,
            unsettled=unsettled,
        )


async def storm(here: Ground, plan: Plan, tell: Any) -> None:
    """Posts all events, with one fault after the other; at the end everything runs again."""
    stop = asyncio.Event()
    storming = asyncio.create_task(here.faults.run(stop, plan.pause))
    posting = asyncio.create_task(here.callers.run(plan.events, plan.per_second))
    while not posting.done():
        await asyncio.wait({posting, storming}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        tell(
            f"{len(here.callers.acknowledged)} of {plan.events} events acknowledged, {here.faults.done.total()} faults"
        )
        if storming.done():
            storming.result()
    await posting
    stop.set()
    await storming


async def settled(here: Ground, seconds: float, tell: Any) -> tuple[Records, list[str]]:
    """All records once every event has an end; and the events that had none in time."""
    stories, unsettled = await _ends(here.stack.api_url, list(here.callers.acknowledged), seconds, tell)
    records = Records(
        acknowledged=here.callers.acknowledged,
        answers=here.callers.answers,
        texts=await _texts(here.stack.simulator_url),
        stories=stories,
        notices=here.desk.notices,
    )
    return records, unsettled


async def _ends(
    api: str, event_ids: list[str], seconds: float, tell: Any
) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
    """What Heliograph says of each event, once that is the end of it; and those that had none in time."""
    stories: dict[str, dict[str, Any] | None] = {}
    until = time.monotonic() + seconds
    waiting = event_ids
    async with httpx.AsyncClient(base_url=api, headers={"Authorization": f"Bearer {KEY}"}, timeout=10) as http:
        while True:
            for event_id in waiting:
                answer = await http.get(f"/api/notifications/{event_id}")
                stories[event_id] = answer.json() if answer.status_code == 200 else None
            waiting = [event_id for event_id in waiting if not _at_an_end(stories[event_id])]
            tell(f"{len(waiting)} events without an end yet")
            if not waiting or time.monotonic() > until:
                return stories, waiting
            await asyncio.sleep(5)


def _at_an_end(story: dict[str, Any] | None) -> bool:
    if story is None:
        return False
    if story["status"] == "delivered":
        return True
    # Told, and not about to be posted again: nothing is claimed, and nobody waits to try once more.
    return "escalated" in story and (story["status"] in FINAL or story["status"] in ("sent", "unknown"))


async def _texts(simulator: str) -> dict[str, list[dict[str, Any]]]:
    async with httpx.AsyncClient(base_url=simulator, timeout=60) as http:
        return by_phone((await http.get("/simulator/messages")).json())
