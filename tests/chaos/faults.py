"""What is done to the stack while it works: one fault after the other, by a seeded schedule."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from devstack.stack import Stack
from tests.chaos.databases import Tortured
from tests.chaos.load import Callers
from tests.chaos.network import Cut, Line

KILL_WORKER, KILL_API, STOP_WORKER = "kill -9 of the worker", "kill -9 of the API", "SIGTERM of the worker"


class Storm(Protocol):
    """What is done meanwhile, and how often each of it was done."""

    done: Counter[str]

    async def run(self, stop: asyncio.Event, pause: tuple[float, float]) -> None:
        """Until told to stop; then everything runs again."""


class Faults(Storm):
    """One of each part. Each fault ends with the part running again."""

    def __init__(
        self, stack: Stack, database: Tortured, line: Line, callers: Callers, client: Client, rng: random.Random
    ) -> None:
        self._stack = stack
        self._database = database
        self._line = line
        self._callers = callers
        self._client = client
        self._random = rng
        self._workers = 1
        self._stopping: list[asyncio.Task[None]] = []
        self.done: Counter[str] = Counter()
        self.spared: set[str] = set()
        """Faults that are left out from now on."""
        self._faults: list[tuple[int, str, Callable[[], Awaitable[None]]]] = [
            (3, KILL_WORKER, self._kill_worker),
            (2, KILL_API, self._kill_api),
            (2, "kill -9 of Temporal", self._kill_temporal),
            (2, "kill -9 of the simulator", self._kill_simulator),
            (2, STOP_WORKER, self._stop_worker),
            (3, "network cut before the POST", lambda: self._cut(Cut.BEFORE)),
            (3, "network cut after the POST", lambda: self._cut(Cut.AFTER)),
            (2, "SQL locked", self._lock_sql),
            *([(2, "SQL gone", self._vanish_sql)] if database.url else []),
            (2, "clock jump of Twilio's list", self._jump),
            (2, "Reset in Temporal", self._reset),
            (1, "terminate in Temporal", self._terminate),
            (1, "delete in Temporal", self._delete),
        ]

    async def run(self, stop: asyncio.Event, pause: tuple[float, float]) -> None:
        """One fault after the other until told to stop; then everything runs again."""
        round_robin = [fault for fault in self._faults for _ in range(fault[0])]
        self._random.shuffle(round_robin)
        while not stop.is_set():
            if not round_robin:
                round_robin = [fault for fault in self._faults for _ in range(fault[0])]
                self._random.shuffle(round_robin)
            _, name, fault = round_robin.pop()
            if name in self.spared:
                continue
            await fault()
            self.done[name] += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._random.uniform(*pause))
        await asyncio.gather(*self._stopping)

    async def _kill(self, name: str, start: Callable[[], object]) -> None:
        self._stack.processes[name].kill()
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(start)

    async def _kill_worker(self) -> None:
        name = self._worker
        await self._kill(name, lambda: self._stack.start_worker(name))

    async def _kill_api(self) -> None:
        await self._kill("api", self._stack.start_api)

    async def _kill_temporal(self) -> None:
        await self._kill("temporal", self._stack.start_temporal)

    async def _kill_simulator(self) -> None:
        await self._kill("simulator", self._stack.start_simulator)

    async def _stop_worker(self) -> None:
        """As a deployment does: the new one starts, the old one finishes its sends."""
        old = self._stack.processes[self._worker]
        self._workers += 1
        await asyncio.to_thread(self._stack.start_worker, self._worker)
        os.kill(old.pid, signal.SIGTERM)
        self._stopping.append(asyncio.create_task(asyncio.to_thread(old.finish, 90)))

    @property
    def _worker(self) -> str:
        return "worker" if self._workers == 1 else f"worker-{self._workers}"

    async def _cut(self, cut: Cut) -> None:
        self._line.cut = cut
        await asyncio.sleep(self._random.uniform(0.5, 3))
        self._line.cut = Cut.NONE

    async def _lock_sql(self) -> None:
        await self._database.lock(self._random.uniform(1, 12))

    async def _vanish_sql(self) -> None:
        await self._database.vanish(self._random.uniform(1, 6))

    async def _jump(self) -> None:
        offset = self._random.choice([-45, -20, 0, 20, 45])
        async with httpx.AsyncClient(base_url=self._stack.simulator_url, timeout=5) as http:
            with suppress(httpx.HTTPError):
                await http.put("/simulator/clock", json={"offsetSeconds": offset})

    def _some_event(self) -> str | None:
        recent = list(self._callers.acknowledged)[-40:]
        return self._random.choice(recent) if recent else None

    async def _reset(self) -> None:
        if (event_id := self._some_event()) is None:
            return
        with suppress(RPCError, RuntimeError):
            run_id = (await self._client.get_workflow_handle(event_id).describe()).run_id
            await self._client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=self._client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=event_id, run_id=run_id),
                    reason="chaos",
                    workflow_task_finish_event_id=3,
                    request_id=f"{event_id}/{self.done.total()}",
                )
            )

    async def _terminate(self) -> None:
        if (event_id := self._some_event()) is not None:
            with suppress(RPCError, RuntimeError):
                await self._client.get_workflow_handle(event_id).terminate("chaos")

    async def _delete(self) -> None:
        if (event_id := self._some_event()) is not None:
            with suppress(RPCError, RuntimeError):
                await self._client.workflow_service.delete_workflow_execution(
                    DeleteWorkflowExecutionRequest(
                        namespace=self._client.namespace,
                        workflow_execution=WorkflowExecution(workflow_id=event_id),
                    )
                )
