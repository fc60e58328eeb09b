"""What a process and the parts say of themselves, from /proc and by their own means."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import httpx
import psutil
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.chaos.campaign import Ground
from tests.soak.judge import Point
from workflows import names

MIB = 2**20
PATIENCE = 3.0  # seconds for each part
_QUEUES = (
    (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (names.SEND_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (names.WEBHOOK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)


@dataclass
class Series:
    """All looks at one measure of one part, by lifetime: one for each process, one in all for what is kept on disk."""

    part: str
    measure: str
    lifetimes: dict[int, list[Point]] = field(default_factory=dict)

    def add(self, life: int, at: float, value: float) -> None:
        self.lifetimes.setdefault(life, []).append(Point(at, value))

    def last(self) -> float | None:
        points = [points[-1] for points in self.lifetimes.values()]
        return max(points, key=lambda point: point.at).value if points else None


def of_process(pid: int) -> dict[str, float]:
    """Of this moment, from /proc; empty for one that has ended. Memory is in MiB.

    `memory` is what nobody else shares (USS), and so what its end would give back.
    """
    with suppress(OSError, psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        memory = _smaps(Path(f"/proc/{pid}/smaps_rollup").read_text())
        links = list(_descriptors(pid))
        return {
            "resident": memory["Rss"] / 1024,
            "proportional": memory["Pss"] / 1024,
            "memory": (memory["Private_Clean"] + memory["Private_Dirty"]) / 1024,
            "descriptors": len(links),
            "sockets": sum(link.startswith("socket:") for link in links),
            "database handles": sum(Path(link).name.startswith("heliograph.db") for link in links),
            "threads": process.num_threads(),
        }
    return {}


def of_family(pid: int) -> dict[str, float]:
    """The same, summed over a process and all below it, whose shared memory counts once."""
    with suppress(psutil.Error):
        found = [of_process(one) for one in (pid, *(child.pid for child in psutil.Process(pid).children(True)))]
        return {
            "memory": sum(one["proportional"] for one in found if one),
            "descriptors": sum(one["descriptors"] for one in found if one),
            "processes": sum(bool(one) for one in found),
        }
    return {}


def _smaps(text: str) -> dict[str, int]:
    return {name: int(kilobytes) for name, kilobytes in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}


def _descriptors(pid: int) -> Iterator[str]:
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(OSError):  # closed since
            yield os.readlink(entry.path)


class Sampler:
    """Looks at everything every few seconds until told to stop."""

    def __init__(self, ground: Ground, metrics_port: int) -> None:
        self._ground = ground
        self._metrics = {"api": f"{ground.stack.api_url}/metrics", "worker": f"http://127.0.0.1:{metrics_port}/metrics"}
        self._began = monotonic()
        self._series: dict[tuple[str, str], Series] = {}

    @property
    def series(self) -> list[Series]:
        return list(self._series.values())

    def begin(self) -> None:
        """Forgets what was; the load begins now."""
        self._began = monotonic()
        self._series.clear()

    async def run(self, stop: asyncio.Event, every: float) -> None:
        while not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)

    async def look(self) -> None:
        """Once at everything. A part that is being killed is left out."""
        at = monotonic() - self._began
        processes = await asyncio.to_thread(self._processes)
        for part, pid, found in processes:
            self._add(part, pid, at, found)
        lives = [(part, pid) for part, pid, _ in processes]
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            tasks = {part: asyncio.create_task(tasks_of(http, url)) for part, url in self._metrics.items()}
            for part, asked in tasks.items():
                of_part = [pid for name, pid in lives if name == part]
                # While one worker takes over from another, which of them answers is not known.
                if (count := await asked) is not None and len(of_part) == 1:
                    self._add(part, of_part[0], at, {"tasks": count})
        kept = await asyncio.gather(self._temporal(), self._database(), return_exceptions=True)
        for found in (*kept, self._files()):
            if isinstance(found, dict):
                self._add("kept", 0, at, found)
            elif not isinstance(
                found, (RPCError, RuntimeError, TimeoutError, OSError, sqlite3.Error, asyncpg.PostgresError)
            ):
                raise found

    def now(self, part: str, measure: str) -> float | None:
        series = self._series.get((part, measure))
        return series.last() if series else None

    def _add(self, part: str, life: int, at: float, found: Mapping[str, float]) -> None:
        for measure, value in found.items():
            series = self._series.setdefault((part, measure), Series(part, measure))
            series.add(life, at, value)

    def _processes(self) -> list[tuple[str, int, dict[str, float]]]:
        found = []
        for name, process in list(self._ground.stack.processes.items()):
            if name != "bootstrap" and process.running and (values := of_process(process.pid)):
                found.append((name.partition("-")[0], process.pid, values))
        if (pid := self._ground.database.pid) is not None and (values := of_family(pid)):
            found.append(("postgresql", pid, values))
        return found

    async def _temporal(self) -> dict[str, float]:
        client = self._ground.client
        async with asyncio.timeout(PATIENCE):
            is_open = "ExecutionStatus = 'Running'"
            counts = await asyncio.gather(
                client.count_workflows(is_open),
                client.count_workflows(f"{is_open} AND Escalated = true AND WorkflowType = 'Notification'"),
                *(_backlog(client, *queue) for queue in _QUEUES),
            )
        running, escalated, *backlog = counts
        return {
            "open workflows": running.count,  # type: ignore[union-attr]
            "escalated and open": escalated.count,  # type: ignore[union-attr]
            "backlog of queues": sum(backlog),  # type: ignore[arg-type]
        }

    async def _database(self) -> dict[str, float]:
        url = self._ground.database.url
        async with asyncio.timeout(PATIENCE):
            if url is None:
                return await asyncio.to_thread(_sqlite, self._ground.stack.data / "heliograph.db")
            return await _postgresql(url)

    def _files(self) -> dict[str, float]:
        data = self._ground.stack.data
        sizes = {}
        for label, name in (("Heliograph", "heliograph.db"), ("Temporal", "temporal.db")):
            for suffix, what in (("", "database"), ("-wal", "WAL")):
                with suppress(OSError):
                    sizes[f"{label}'s {what}"] = (data / (name + suffix)).stat().st_size / MIB
        return sizes


async def tasks_of(http: httpx.AsyncClient, url: str) -> float | None:
    """How many asyncio tasks a process of ours says it has; None for one that does not answer."""
    with suppress(httpx.HTTPError):
        found = re.search(r"^heliograph_asyncio_tasks ([0-9.e+]+)$", (await http.get(url)).text, re.MULTILINE)
        return float(found[1]) if found else None
    return None


async def _backlog(client: Client, queue: str, kind: TaskQueueType.ValueType) -> float:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind, report_stats=True
    )
    answer: Any = await client.workflow_service.describe_task_queue(request)
    return float(answer.stats.approximate_backlog_count)


_OUTBOX = "SELECT count(*) FROM webhooks WHERE state = 'pending'"


def _sqlite(file: Path) -> dict[str, float]:
    # Opened anew every time: a reader that stays would keep the WAL from being written back.
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=2)) as connection:
        return {"webhooks to send": connection.execute(_OUTBOX).fetchone()[0]}


async def _postgresql(url: str) -> dict[str, float]:
    connection = await asyncpg.connect(url, timeout=PATIENCE)
    try:
        row = await connection.fetchrow(
            f"SELECT ({_OUTBOX}) AS outbox, pg_database_size(current_database()) AS size, (SELECT count(*) FROM"
            " pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) AS connections"
        )
    finally:
        await connection.close()
    return {
        "webhooks to send": row["outbox"],
        "database connections": row["connections"],
        "Heliograph's database": row["size"] / MIB,
    }
